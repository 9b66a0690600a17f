# The image of the sidecar: one static binary, the CA certificates, nothing else.
#
#   docker build -t wxsidecar:dev .            (or podman build; `make image` picks the one that is there)
#   docker build --build-arg VERSION=v1.2.3 -t registry.example.com/wxsidecar:v1.2.3 .
#
# Where docker.io and proxy.golang.org are out of reach, from their mirrors:
#
#   docker build --build-arg GO_IMAGE=m.daocloud.io/docker.io/library/golang:1.26 \
#       --build-arg GOPROXY=https://goproxy.cn,direct -t wxsidecar:dev .

ARG GO_IMAGE=docker.io/library/golang:1.26
FROM ${GO_IMAGE} AS build
# Of the build alone; without it Go's own.
ARG GOPROXY
WORKDIR /src
# The modules first: this layer is built again only when they change.
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ARG VERSION=dev
# CGO_ENABLED=0: nothing to link to in an empty image. The same source and VERSION give the same binary (-trimpath).
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /out/sidecar ./sidecar

FROM scratch
ARG VERSION=dev
LABEL org.opencontainers.image.title="wxsidecar" \
      org.opencontainers.image.description="Keeps WeChat access_tokens in memcached, one renewal for a whole fleet" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}"
# WeChat is asked over HTTPS; an empty image trusts nobody without these.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/sidecar /sidecar
# In numbers: Kubernetes cannot check runAsNonRoot against a name.
USER 65532:65532
# Health. The API, 7200, listens on loopback only: there is nothing to expose.
EXPOSE 7201
ENTRYPOINT ["/sidecar"]
