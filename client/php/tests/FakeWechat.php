<?php

declare(strict_types=1);

namespace Wxsidecar\Tests;

/** The fake WeChat, over https: one for the whole run. */
final class FakeWechat
{
    private static ?self $only = null;
    private static int $accounts = 0;

    public readonly string $url;
    private readonly string $control;
    private readonly Process $process;

    private function __construct()
    {
        $this->process = new Process([(string) getenv('WXSIDECAR_FAKEWECHAT'), self::certificate()]);
        $addresses = $this->process->await('the fake WeChat', fn () => json_decode($this->process->output(), true));
        $this->url = $addresses['wechat'];
        $this->control = $addresses['control'];
    }

    public static function get(): self
    {
        return self::$only ??= new self();
    }

    /** Returns the CA file; test.sh configures PHP's curl and streams with it. */
    public static function certificate(): string
    {
        return Process::folder() . '/ca.pem';
    }

    /** Returns host:port, for wechatHosts. */
    public function host(): string
    {
        return substr($this->url, strlen('https://'));
    }

    /** Creates an account and returns its AppID. */
    public function account(): string
    {
        $appId = 'wxtest' . ++self::$accounts;
        $this->ask('POST', "/account?appid=$appId&secret=canarysecret-of-$appId");

        return $appId;
    }

    /** Two external fetches invalidate the sidecar's token: only the newest two tokens are valid. */
    public function externalFetches(string $appId): void
    {
        $this->ask('POST', "/external-fetch?appid=$appId");
        $this->ask('POST', "/external-fetch?appid=$appId");
    }

    /** Invalidates all tickets of an account. */
    public function invalidateTickets(string $appId): void
    {
        $this->ask('POST', "/invalidate-tickets?appid=$appId");
    }

    /** Returns WeChat's errcode for a ticket; 0 if it is valid. */
    public function ticketErrcode(#[\SensitiveParameter] string $ticket): int
    {
        return (int) $this->ask('GET', "/ticket?ticket=$ticket");
    }

    public function fail(int $errcode): void
    {
        $this->ask('POST', "/fail?errcode=$errcode");
    }

    /** Returns how many tokens the sidecar got. */
    public function issues(string $appId): int
    {
        return (int) $this->ask('GET', "/issues?appid=$appId");
    }

    private function ask(string $method, string $path): string
    {
        $context = stream_context_create(['http' => ['method' => $method]]);
        $answer = file_get_contents($this->control . $path, false, $context);

        return $answer === false ? throw new \RuntimeException("the fake WeChat refused $path") : $answer;
    }
}
