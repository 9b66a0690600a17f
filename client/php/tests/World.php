<?php

declare(strict_types=1);

namespace Wxsidecar\Tests;

/** The fake WeChat, over https: one for the whole run. */
final class World
{
    private static ?self $only = null;
    private static int $accounts = 0;

    public readonly string $url;
    private readonly string $control;
    private readonly Process $process;

    private function __construct()
    {
        $this->process = new Process([(string) getenv('WXSIDECAR_WORLD'), self::certificate()]);
        $addresses = $this->process->await('the fake WeChat', fn () => json_decode($this->process->output(), true));
        $this->url = $addresses['wechat'];
        $this->control = $addresses['control'];
    }

    public static function get(): self
    {
        return self::$only ??= new self();
    }

    /** What to trust: test.sh tells PHP's curl and streams to. */
    public static function certificate(): string
    {
        return Process::folder() . '/ca.pem';
    }

    /** host:port, for wechatHosts. */
    public function host(): string
    {
        return substr($this->url, strlen('https://'));
    }

    /** A new account; its AppID. */
    public function account(): string
    {
        $appId = 'wxtest' . ++self::$accounts;
        $this->ask('POST', "/account?appid=$appId&secret=canarysecret-of-$appId");

        return $appId;
    }

    /** A stranger who knows the AppSecret fetches twice: only the newest two tokens work, so ours does not. */
    public function supersede(string $appId): void
    {
        $this->ask('POST', "/steal?appid=$appId");
        $this->ask('POST', "/steal?appid=$appId");
    }

    /** WeChat ends all tickets of an account before their time. */
    public function voidTickets(string $appId): void
    {
        $this->ask('POST', "/void?appid=$appId");
    }

    /** The errcode that WeChat has for a ticket; 0: it accepts it. */
    public function ticketErrcode(#[\SensitiveParameter] string $ticket): int
    {
        return (int) $this->ask('GET', "/ticket?ticket=$ticket");
    }

    public function fail(int $errcode): void
    {
        $this->ask('POST', "/fail?errcode=$errcode");
    }

    /** How many tokens our own side was given. */
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
