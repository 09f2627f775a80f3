package kube

import (
	"context"
	"errors"
	"fmt"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// ErrToken says that the API server does not accept a token.
var ErrToken = errors.New("the token is not accepted")

// Group is the API group of the resources that Allowed asks about. No such resources need to
// exist: RBAC rules may name them all the same.
const Group = "sshark.io"

// reviewTimeout bounds a review: somebody waits at a prompt for it.
const reviewTimeout = 10 * time.Second

// maxToken is far above what API servers issue, in bytes.
const maxToken = 64 << 10

// Client speaks to an API server. It is safe for concurrent use.
//
// It is made of REST clients for the few API groups that are used: the generated client set
// would bring all of them along, in every process of this program.
type Client struct {
	core, discovery, authentication, authorization *rest.RESTClient

	metadata   metadata.Interface
	parameters runtime.ParameterCodec
}

// Connect prepares a client: of the cluster that this process runs in, or of a kubeconfig file
// if its path is given. It sends nothing.
func Connect(kubeconfig string) (*Client, error) {
	if kubeconfig == "" {
		config, err := rest.InClusterConfig()
		if err != nil {
			return nil, fmt.Errorf("connect to kubernetes: %w (outside of a cluster, name a kubeconfig)", err)
		}
		return connect(config)
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("connect to kubernetes with %s: %w", kubeconfig, err)
	}
	return connect(config)
}

func connect(config *rest.Config) (*Client, error) {
	config = rest.CopyConfig(config)
	config.UserAgent = "sshark"
	config.QPS, config.Burst = 50, 100 // the default would make logins wait for one another
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("connect to kubernetes: %w", err)
	}
	c := &Client{}
	if c.metadata, err = metadata.NewForConfigAndClient(metadata.ConfigFor(config), client); err != nil {
		return nil, fmt.Errorf("connect to kubernetes: %w", err)
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		corev1.AddToScheme, discoveryv1.AddToScheme, authenticationv1.AddToScheme, authorizationv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("prepare kubernetes types: %w", err)
		}
	}
	c.parameters = runtime.NewParameterCodec(scheme)
	codecs := serializer.NewCodecFactory(scheme).WithoutConversion()
	for _, g := range []struct {
		to      **rest.RESTClient
		version schema.GroupVersion
	}{
		{&c.core, corev1.SchemeGroupVersion},
		{&c.discovery, discoveryv1.SchemeGroupVersion},
		{&c.authentication, authenticationv1.SchemeGroupVersion},
		{&c.authorization, authorizationv1.SchemeGroupVersion},
	} {
		of := rest.CopyConfig(config)
		of.GroupVersion, of.APIPath, of.NegotiatedSerializer = &g.version, "/apis", codecs
		if g.version.Group == "" {
			of.APIPath = "/api"
		}
		// Protobuf is a third of the work to decode.
		of.AcceptContentTypes, of.ContentType = runtime.ContentTypeProtobuf+","+runtime.ContentTypeJSON, runtime.ContentTypeJSON
		if *g.to, err = rest.RESTClientForConfigAndClient(of, client); err != nil {
			return nil, fmt.Errorf("connect to kubernetes: %w", err)
		}
	}
	return c, nil
}

// TokenUser asks the API server whose token it is (TokenReview, of the API server's own
// audience). ErrToken: nobody's, or it has expired. Any other error: it could not be asked.
func (c *Client) TokenUser(ctx context.Context, token string) (name string, groups []string, err error) {
	if token == "" || len(token) > maxToken {
		return "", nil, ErrToken
	}
	ctx, cancel := context.WithTimeout(ctx, reviewTimeout)
	defer cancel()
	review := &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token}}
	answer := &authenticationv1.TokenReview{}
	if err := c.authentication.Post().Resource("tokenreviews").Body(review).Do(ctx).Into(answer); err != nil {
		return "", nil, fmt.Errorf("review token: %w", err)
	}
	switch s := answer.Status; {
	case s.Authenticated && s.User.Username != "":
		return s.User.Username, s.User.Groups, nil
	case s.Error != "":
		return "", nil, fmt.Errorf("%w: %s", ErrToken, printable(s.Error))
	}
	return "", nil, ErrToken
}

// Allowed asks the API server whether a user may do something with a resource of Group in a
// namespace, "" for all of them (SubjectAccessReview). An error says that it could not be
// asked, and is not a permission.
func (c *Client) Allowed(ctx context.Context, user string, groups []string, verb, resource, namespace string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, reviewTimeout)
	defer cancel()
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: user, Groups: groups,
		ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: namespace, Verb: verb, Group: Group, Resource: resource},
	}}
	answer := &authorizationv1.SubjectAccessReview{}
	if err := c.authorization.Post().Resource("subjectaccessreviews").Body(review).Do(ctx).Into(answer); err != nil {
		return false, fmt.Errorf("review access of %q to %s %s in namespace %q: %w", user, verb, resource, namespace, err)
	}
	return answer.Status.Allowed && !answer.Status.Denied, nil
}
