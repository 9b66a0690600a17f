#!/bin/sh
# Builds the images of the end-to-end suite: wxsidecar:dev, wxsidecar:next, wx-php-app:dev and wxsidecar-e2e:dev. The suite
# upgrades to wxsidecar:next, the same source with another version. You can load any other build with that tag.
#
#   k8s/e2e/images.sh docker|podman        BUILD_FLAGS='--pull=never' …: further flags for `build`
#
# Then load them into the cluster, for example:
#
#   kind load docker-image wxsidecar:dev wxsidecar:next wx-php-app:dev wxsidecar-e2e:dev
#   minikube image load wxsidecar:dev                                  (and so on)
#   podman save -o all.tar -m IMAGES… && kind load image-archive all.tar
set -eu
engine=${1:-}
case $engine in
docker | podman) ;;
*) echo "usage: $0 docker|podman" >&2; exit 2 ;;
esac
cd "$(dirname "$0")/../.."

# image NAME CONTEXT FLAGS...: Kubernetes puts docker.io/library before a bare name, podman does not.
image() {
	tag=docker.io/library/$1 context=$2
	shift 2
	echo "$engine build -t $tag $* $context"
	# shellcheck disable=SC2086 # BUILD_FLAGS are several words
	"$engine" build ${BUILD_FLAGS:-} -t "$tag" "$@" "$context"
	"$engine" image inspect --format "image $tag: {{.Size}} bytes" "$tag"
}

image wxsidecar:dev .
image wxsidecar:next . --build-arg VERSION=next
image wxsidecar-e2e:dev . -f k8s/e2e/Dockerfile # with Dockerfile.dockerignore
image wx-php-app:dev k8s/app-php-with-sidecar
