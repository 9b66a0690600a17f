#!/bin/sh
# Runs kube-score over the output of each `kubectl apply -k`: nothing critical (`make k8s`). Ignored checks:
#
#   CPU limits                 only add latency; memory limits stay checked
#   …-image-pull-policy        Always needs the registry at each start
#   …-ephemeral-storage-…      only logs are written to disk, and the kubelet rotates them
#   pod-probes-identical       memcached works if it accepts connections;
#                              standalone/deployment.yaml explains wxsidecar's
#
# and in folders without standalone sidecars:
#
#   networkpolicy-targets-pod  networkpolicy/ is also for standalone sidecars
#   pod-networkpolicy          an app has policies of its own; memcached/ alone includes none
#   …-poddisruptionbudget      an app has budgets of its own
set -eu
cd "$(dirname "$0")"
everywhere='--ignore-container-cpu-limit --ignore-test container-image-pull-policy,pod-probes-identical
	--ignore-test container-ephemeral-storage-request-and-limit'
elsewhere='--ignore-test networkpolicy-targets-pod,pod-networkpolicy,deployment-has-poddisruptionbudget'
failed=0
for folder in */kustomization.yaml; do
	! grep -q '^kind: Component' "$folder" || continue # others name it
	folder=${folder%/*} ignore="$everywhere $elsewhere"
	manifests=$(${KUSTOMIZE:-kubectl kustomize} "$folder")
	if [ "$folder" = standalone ]; then # with its policies
		ignore=$everywhere manifests=$(printf '%s\n---\n' "$manifests" && ${KUSTOMIZE:-kubectl kustomize} namespace)
	fi
	printf '\n== %s\n' "$folder"
	# shellcheck disable=SC2086 # $ignore is several words
	printf '%s\n' "$manifests" | "${KUBE_SCORE:-kube-score}" score --kubernetes-version v1.29 $ignore - || failed=1
done
exit $failed
