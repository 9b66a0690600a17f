<?php

// How an app reads its token: memcached first, and the sidecar on a miss. It prints a line every second, with the
// token's fingerprint (the first 8 digits of its SHA-256) and never the token.

// In a container this is process 1. Linux ignores SIGTERM for process 1 without a handler, so each restart would take
// terminationGracePeriodSeconds and end with SIGKILL.
$running = true;
if (function_exists('pcntl_async_signals')) {
    pcntl_async_signals(true);
    pcntl_signal(SIGTERM, function () use (&$running) { $running = false; }); // sleep() below then returns at once
}

$appId = getenv('WECHAT_APPID');
$socket = substr(getenv('SIDECAR_URL'), strlen('unix://'));

$memcached = new Memcached();
$memcached->setOption(Memcached::OPT_LIBKETAMA_COMPATIBLE, true); // several servers: the sidecars' default MEMCACHED_HASH
$servers = getenv('MEMCACHED_SERVERS');
foreach ($servers === 'off' ? [] : explode(',', $servers) as $server) { // off: every read asks the sidecar
    [$host, $port] = explode(':', $server);
    $memcached->addServer($host, (int)$port);
}
// The default timeouts are seconds. The sidecar answers faster.
$memcached->setOptions([Memcached::OPT_CONNECT_TIMEOUT => 200, Memcached::OPT_POLL_TIMEOUT => 200]); // milliseconds

// What an entry holds. 32 hexadecimal digits are an AppSecret.
const ENTRY = '#^(?![0-9A-Fa-f]{32}$)[A-Za-z0-9._~+/=@!-]{16,2048}$#D';

// from_memcached returns null for a miss, a failure or a damaged value.
function from_memcached(Memcached $memcached, string $appId): ?string
{
    $token = $memcached->get($appId);
    return is_string($token) && preg_match(ENTRY, $token) ? $token : null;
}

// from_sidecar asks over the unix socket. PHP's http:// cannot do that, but curl can.
function from_sidecar(string $socket, string $appId): string
{
    $request = curl_init("http://localhost/v1/$appId/access_token");
    curl_setopt_array($request, [
        CURLOPT_UNIX_SOCKET_PATH => $socket,
        CURLOPT_HTTPHEADER => ['X-Wxsidecar: 1'],
        CURLOPT_TIMEOUT => 13, // seconds; the sidecar answers within 12
        CURLOPT_RETURNTRANSFER => true,
    ]);
    $answer = json_decode((string)curl_exec($request), true);
    if (isset($answer['access_token'])) {
        return $answer['access_token'];
    }
    if (isset($answer['errcode'])) {
        throw new RuntimeException("$answer[errcode]: $answer[errmsg]"); // WeChat's, or the sidecar's own
    }
    throw new RuntimeException("sidecar at $socket: " . curl_strerror(curl_errno($request)));
}

while ($running) {
    try {
        $source = 'memcached';
        $token = from_memcached($memcached, $appId);
        if ($token === null) {
            $source = 'sidecar';
            $token = from_sidecar($socket, $appId);
        }
        $line = substr(hash('sha256', $token), 0, 8) . "  from $source";
    } catch (RuntimeException $e) {
        $line = 'no token: ' . $e->getMessage();
    }
    echo date('H:i:s'), "  $line\n";
    flush(); // kubectl logs -f shows it at once
    sleep(1);
}
