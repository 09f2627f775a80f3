package component

import "slices"

// History is what was typed before, oldest first. Prompts of one session may share it.
type History struct{ list []string }

// maxHistory is how many lines are remembered.
const maxHistory = 50

// Add remembers a line as the newest, once.
func (h *History) Add(v string) {
	if v == "" {
		return
	}
	h.list = append(slices.DeleteFunc(h.list, func(o string) bool { return o == v }), v)
	if over := len(h.list) - maxHistory; over > 0 {
		h.list = slices.Delete(h.list, 0, over)
	}
}

// Newest are the last n lines, newest first.
func (h *History) Newest(n int) []string {
	out := slices.Clone(h.list[max(0, len(h.list)-n):])
	slices.Reverse(out)
	return out
}

func (h *History) at(back int) string { return h.list[len(h.list)-back] }
