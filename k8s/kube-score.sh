#!/bin/sh
# kube-score over what each `kubectl apply -k` brings: nothing critical (`make k8s`). What is ignored, and why:
#
#   CPU limits                 only make the few busy milliseconds slower; memory's stay checked
#   …-image-pull-policy        Always asks the registry at each start, and fails while that is down
#   …-ephemeral-storage-…      nothing is written to disk but logs, which the kubelet rotates
#   pod-probes-identical       memcached: "it accepts connections" is all there is to know;
#                              wxsidecar: standalone/deployment.yaml says why readiness is /livez
#
# and where no standalone sidecars are:
#
#   networkpolicy-targets-pod  networkpolicy/ is for them too
#   pod-networkpolicy          whom an app talks to is its own business; memcached/ alone brings no policy
#   …-poddisruptionbudget      how many of an app's pods may be away is, too
set -eu
cd "$(dirname "$0")"
everywhere='--ignore-container-cpu-limit --ignore-test container-image-pull-policy,pod-probes-identical
	--ignore-test container-ephemeral-storage-request-and-limit'
elsewhere='--ignore-test networkpolicy-targets-pod,pod-networkpolicy,deployment-has-poddisruptionbudget'
failed=0
for folder in */kustomization.yaml; do
	folder=${folder%/*} ignore="$everywhere $elsewhere"
	[ "$folder" != standalone ] || ignore=$everywhere
	manifests=$(${KUSTOMIZE:-kubectl kustomize} "$folder")
	printf '\n== %s\n' "$folder"
	# shellcheck disable=SC2086 # $ignore is several words
	printf '%s\n' "$manifests" | "${KUBE_SCORE:-kube-score}" score --kubernetes-version v1.29 $ignore - || failed=1
done
exit $failed
