//go:build systemd

package systemtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

// systemd, as process 1 of its own namespaces, runs docs/install/wxsidecar.service: with a
// dynamic user, its credential, its seccomp filters and its socket. The test needs
// Linux and root, so it has the build tag systemd (make test-systemd).
func TestUnit_RunsUnderSystemd(t *testing.T) {
	require.Zero(t, os.Getuid(), "namespaces and mounts take root")
	w, m := programtest.NewBackends(t), newRealMemcached(t)
	dir := programtest.ShortDir(t)
	write := func(name, text string) { programtest.WriteFile(t, filepath.Join(dir, "system", name), text) }
	unitText := fileText(t, unitFile)
	write("wxsidecar.service", unitText)
	write("wxsidecar.service.d/test.conf", "[Unit]\nDefaultDependencies=no\n[Service]\n"+
		"Environment=WECHAT_BASE_URL="+w.WeChatURL+" MEMCACHED_SERVERS="+m.Address+" SIDECAR_OPS_LISTEN="+w.Ops+
		"\nStandardError=append:"+dir+"/log\n")
	programtest.WriteFile(t, filepath.Join(dir, "probe.sh"), `
until /usr/local/bin/sidecar healthcheck >/dev/null 2>&1; do sleep 0.1; done
pid=$(systemctl show wxsidecar -p MainPID --value)
echo "user $(ps -o user:20=,group= -p $pid)"
grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/$pid/status
echo "socket $(stat -c '%a %U %G' /run/wxsidecar/api.sock)"
runuser -u www-data -- curl -s -o /dev/null -w 'www-data %{http_code}\n' -H 'X-Wxsidecar: 1' --unix-socket /run/wxsidecar/api.sock http://localhost/v1/`+appID+`/access_token
runuser -u nobody -- curl -s -o /dev/null -w 'nobody %{http_code}\n' -H 'X-Wxsidecar: 1' --unix-socket /run/wxsidecar/api.sock http://localhost/v1/`+appID+`/access_token
systemctl restart wxsidecar
until /usr/local/bin/sidecar healthcheck >/dev/null 2>&1; do sleep 0.1; done
echo "restarts $(systemctl show wxsidecar -p NRestarts --value), result $(systemctl show wxsidecar -p Result --value)"
systemctl exit 0
`)
	write("probe.service", "[Unit]\nDefaultDependencies=no\nAfter=wxsidecar.service\n[Service]\nType=oneshot\nEnvironment=SIDECAR_OPS_LISTEN="+w.Ops+
		"\nExecStart=/bin/bash "+dir+"/probe.sh\nStandardOutput=file:"+dir+"/out\nStandardError=file:"+dir+"/out\n")
	write("test.target", "[Unit]\nDefaultDependencies=no\nWants=wxsidecar.service probe.service\n")
	// What systemd sees of /etc and /usr/local/bin is this machine's with the test's
	// over it; nothing of it stays.
	boot := programtest.WriteFile(t, filepath.Join(dir, "boot.sh"), `set -eu
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mkdir /run/over && cd /run/over && mkdir eu ew bu bw
mount -t overlay overlay -o lowerdir=/etc,upperdir=eu,workdir=ew /etc
mount -t overlay overlay -o lowerdir=/usr/local/bin,upperdir=bu,workdir=bw /usr/local/bin
install -m 0755 "$1/sidecar" /usr/local/bin/sidecar
install -d -m 0700 /etc/wxsidecar && install -m 0400 "$1/appsecret" /etc/wxsidecar/appsecret
rm -rf /etc/systemd/system && cp -r "$1/system" /etc/systemd/system
mount --make-rshared / # as systemd finds it where it is no container's
cd / && exec env -i container=lxc PATH="$PATH" /lib/systemd/systemd --system --unit=test.target --show-status=no --log-target=null
`)
	programtest.WriteFile(t, filepath.Join(dir, "appsecret"), testSecret+"\n")
	require.NoError(t, os.Symlink(binary(t), filepath.Join(dir, "sidecar")))

	command := exec.Command("unshare", "--fork", "--kill-child", "--pid", "--mount", "--mount-proc", "--uts", "--ipc", "--cgroup", "bash", boot, dir)
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	said, err := command.CombinedOutput()
	require.NoError(t, err, "%s", said)
	out, log := fileText(t, filepath.Join(dir, "out")), fileText(t, filepath.Join(dir, "log"))
	t.Logf("\n%s", out)
	programtest.AssertNoCanary(t, out+log)
	for _, line := range []string{
		"user wxsidecar            www-data", "CapEff:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2",
		"socket 660 wxsidecar www-data", "www-data 200", "nobody 000", "restarts 0, result success",
	} {
		assert.Contains(t, out, line+"\n")
	}
	assert.Equal(t, 2, strings.Count(log, `"msg":"started"`), "once, and once after the restart")
	assert.Equal(t, 1, w.WeChat.Requests("", ""), "the second one finds the token in memcached")
}
