# The image that `make image` writes, for those who have a container engine:
#   docker buildx build --platform linux/amd64,linux/arm64 --build-arg VERSION=$(git describe --tags --always) .
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG TARGETOS TARGETARCH VERSION=unknown
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
	go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$VERSION" -o /out/usr/local/bin/sshark ./cmd/sshark

FROM scratch
ARG VERSION=unknown REVISION=
LABEL org.opencontainers.image.title="sshark" \
	org.opencontainers.image.description="Records the traffic of a Kubernetes cluster and answers questions about it over SSH" \
	org.opencontainers.image.source="https://github.com/sshark/sshark" \
	org.opencontainers.image.licenses="Apache-2.0" \
	org.opencontainers.image.version="$VERSION" \
	org.opencontainers.image.revision="$REVISION"
COPY --from=build /out /
ENV PATH=/usr/local/bin
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/sshark"]
