package k8s_test

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// externalSecret and application are the kinds of External Secrets and of Argo CD, with the fields that the page shows.
// Their own types are in modules with hundreds of dependencies.
type (
	externalSecret struct {
		metav1.TypeMeta   `json:",inline"`
		metav1.ObjectMeta `json:"metadata"`
		Spec              struct {
			RefreshInterval metav1.Duration `json:"refreshInterval"`
			SecretStoreRef  struct {
				Kind string `json:"kind"`
				Name string `json:"name"`
			} `json:"secretStoreRef"`
			Target struct {
				Name string `json:"name"`
			} `json:"target"`
			DataFrom []struct {
				Extract struct {
					Key string `json:"key"`
				} `json:"extract"`
			} `json:"dataFrom"`
		} `json:"spec"`
	}
	application struct {
		metav1.TypeMeta   `json:",inline"`
		metav1.ObjectMeta `json:"metadata"`
		Spec              struct {
			Project string `json:"project"`
			Source  struct {
				RepoURL        string `json:"repoURL"`
				TargetRevision string `json:"targetRevision"`
				Path           string `json:"path"`
			} `json:"source"`
			Destination struct {
				Server    string `json:"server"`
				Namespace string `json:"namespace"`
			} `json:"destination"`
			SyncPolicy struct {
				Automated struct {
					Prune    bool `json:"prune"`
					SelfHeal bool `json:"selfHeal"`
				} `json:"automated"`
				SyncOptions []string `json:"syncOptions"`
			} `json:"syncPolicy"`
		} `json:"spec"`
	}
)

// DeepCopyObject implements runtime.Object. The copy is shallow.
func (e *externalSecret) DeepCopyObject() runtime.Object { c := *e; return &c }

// DeepCopyObject implements runtime.Object. The copy is shallow.
func (a *application) DeepCopyObject() runtime.Object { c := *a; return &c }

// addOthers adds the kinds of this file.
func addOthers(scheme *runtime.Scheme) error {
	for group, kinds := range map[schema.GroupVersion]map[string]runtime.Object{
		{Group: "external-secrets.io", Version: "v1"}: {"ExternalSecret": &externalSecret{}},
		{Group: "argoproj.io", Version: "v1alpha1"}:   {"Application": &application{}},
	} {
		for kind, object := range kinds {
			scheme.AddKnownTypeWithName(group.WithKind(kind), object)
		}
		metav1.AddToGroupVersion(scheme, group)
	}
	return nil
}
