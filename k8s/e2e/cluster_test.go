//go:build cluster

// Package e2e_test runs the manifests of k8s/ on a real cluster, such as kind or
// minikube: the one of the current kubeconfig. It has the build tag `cluster`:
//
//	k8s/e2e/images.sh docker                       # build the images, then load them into the cluster
//	cd k8s && go test -tags cluster -count=1 -v -timeout 20m ./e2e
//
// The suite works in namespaces of its own, wxe2e-…, under Pod Security
// `restricted`, and deletes them. It applies the project's own folders with
// `kubectl apply -k`, through overlays that change three things: WeChat's address
// and certificate authority (a fake WeChat over https), the app (a reader that
// counts, and asks the fake whether each token is valid), and the number of pods. KUBECTL names another kubectl.
package e2e_test

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestCluster_RunsManifests runs everything. The rotation mostly waits until a token is
// due, so the others run beside it, one after the other.
func TestCluster_RunsManifests(t *testing.T) {
	t.Run("rotated AppSecret: used without a restart, unnoticed by readers", rotation)
	t.Run("meanwhile", func(t *testing.T) {
		t.Parallel()
		t.Run("a team's own app with the Component, in two namespaces", teamsApp)
		t.Run("transformers that lock readers out, and what the sidecar says", lockedOut)
		t.Run("app-with-sidecar", appWithSidecar)
		t.Run("app-php-with-sidecar", appPHPWithSidecar)
		t.Run("sidecar-older", appOnOlderClusters)
		t.Run("standalone", standalone)
		t.Run("monitoring", monitoring)
		t.Run("ten pods restarted in turn under constant reads", rollingRestart)
		t.Run("an image upgraded and rolled back, and pods evicted, under constant reads", upgraded)
		t.Run("a network that comes late", lateNetwork)
		t.Run("starts with and without the sidecar", startTimes)
	})
}

// run is the prefix of this run's namespaces.
var run = func() string {
	random := make([]byte, 3)
	_, _ = rand.Read(random) // never fails
	return "wxe2e-" + hex.EncodeToString(random)
}()

// spaces are the created namespaces, which TestMain waits for.
var spaces struct {
	mu    sync.Mutex // guards names
	names []string
}

func TestMain(m *testing.M) {
	ctx := context.Background()
	version, err := kubectl(ctx, "", "version")
	if err != nil {
		fmt.Fprintf(os.Stderr, "no cluster answers: %v\n  set KUBECONFIG (for example with `kind create cluster`), or KUBECTL to another kubectl\n", err)
		os.Exit(1)
	}
	fmt.Println(strings.TrimSpace(version))
	code := m.Run()
	if err := gone(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// gone waits until every namespace of this run is deleted. Each test begins the
// deletion at its end.
func gone(ctx context.Context) error {
	spaces.mu.Lock()
	defer spaces.mu.Unlock()
	for _, name := range spaces.names {
		if _, err := kubectl(ctx, "", "wait", "--for=delete", "namespace/"+name, "--timeout=120s"); err != nil {
			return fmt.Errorf("namespace %s is still there: %w", name, err)
		}
	}
	return nil
}

// poll asks until the condition is true, for conditions that kubectl cannot wait for.
func poll(t *testing.T, within time.Duration, what string, ask func() (done bool, state string)) time.Duration {
	t.Helper()
	start := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		done, state := ask()
		if done {
			return time.Since(start)
		}
		select {
		case <-ctx.Done():
			t.Fatalf("not within %s: %s; at last: %s", within, what, state)
		case <-tick.C:
		}
	}
}

// short formats a duration for people.
func short(d time.Duration) string { return d.Round(10 * time.Millisecond).String() }
