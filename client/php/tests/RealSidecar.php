<?php

declare(strict_types=1);

namespace Wxsidecar\Tests;

/** A real sidecar of one account, with the fake WeChat and a real memcached. */
final class RealSidecar
{
    public readonly string $address;
    private readonly Process $process;

    /** @param array<string, string> $environment further variables */
    public function __construct(string $appId, Memcached $memcached, bool $unix = false, array $environment = [])
    {
        $port = Process::freePort();
        $socket = Process::folder() . "/$port.sock";
        $this->address = $unix ? "unix://$socket" : "http://127.0.0.1:$port";
        $this->process = new Process([(string) getenv('WXSIDECAR_BINARY')], $environment + [
            'WECHAT_APPID' => $appId,
            'WECHAT_APPSECRET' => "canarysecret-of-$appId",
            'WECHAT_BASE_URL' => FakeWechat::get()->url,
            'SSL_CERT_FILE' => FakeWechat::certificate(),
            'MEMCACHED_SERVERS' => "127.0.0.1:$memcached->port",
            'SIDECAR_LISTEN' => $unix ? $this->address : "127.0.0.1:$port",
            'SIDECAR_OPS_LISTEN' => 'off',
        ]);
        $this->process->await(
            'the sidecar to listen',
            fn () => @stream_socket_client($unix ? $this->address : "tcp://127.0.0.1:$port", $errno, $error, 1),
        );
    }

    public function end(): void
    {
        $this->process->end();
    }
}
