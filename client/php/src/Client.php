<?php

declare(strict_types=1);

namespace Wxsidecar;

/**
 * Returns the credentials of one WeChat account. It never holds the AppSecret and
 * never requests a token from WeChat: a sidecar does that, stores the token in
 * memcached under the AppID, and answers over HTTP if memcached has none.
 *
 * Where a token comes from:
 *  1. From memcached: one get, the usual case.
 *  2. On a miss, a damaged value or a failure of memcached: from the sidecar.
 *  3. After a failure of memcached (a miss is no failure), calls go straight to the
 *     sidecar for 1 s, then 2, 4, 8 and 10 s. Each pause ends with one call that
 *     tries memcached, so an outage costs one timeout a pause and not one a call.
 *     Each of several servers has its own pauses.
 *  4. If the sidecar does not answer either, the call tries memcached even within a
 *     pause: a stale health mark never fails a call.
 *
 * A call waits for memcached as long as its extension is configured to, and at most
 * 13 s for the sidecar. Every method throws a Wxsidecar\Exception, and nothing else.
 */
final class Client
{
    public const DEFAULT_SIDECAR = 'http://127.0.0.1:7200';

    private readonly ?Store $store;
    private readonly Sidecar $sidecar;
    private readonly Wechat $wechat;
    private ?Tokens $tokens = null;
    /** @var array<string, Health> of the servers with this account's credentials, by kind */
    private array $healths = [];
    private ?Backoff $backoff = null;

    /**
     * Does not connect yet: memcached and the sidecar can start later.
     *
     * @param string                     $appId       1 to 64 letters, digits, _ or -
     * @param \Memcached|\Memcache|\Closure|null $memcached with its servers and timeouts; a process that forks needs a
     *                                                closure that returns it, without a persistent id; null: only the
     *                                                sidecar is asked
     * @param string                     $sidecar     http://host:port, https://host:port or unix:///path
     * @param string                     $prefix      before every key, as the sidecar's MEMCACHED_KEY_PREFIX
     * @param string|null                $bearerFile  holds the bearer token that the sidecar requires; null: none
     * @param list<string>               $wechatHosts further hosts that request() sends the token to, as host or
     *                                                host:port: over https, or plain http to loopback
     * @param float                      $wechatWait  seconds that request() waits for WeChat's answer, 0.001 to 3600
     * @param string|null                $caFile      the CAs, in PEM, of a sidecar with https; null: PHP's
     */
    public function __construct(
        private string $appId,
        \Memcached|\Memcache|\Closure|null $memcached = null,
        #[\SensitiveParameter] string $sidecar = self::DEFAULT_SIDECAR, // users put passwords into URLs
        private readonly string $prefix = '',
        ?string $bearerFile = null,
        array $wechatHosts = [],
        float $wechatWait = 30,
        ?string $caFile = null,
    ) {
        self::check($appId);
        if (preg_match('/^[^\x00-\x20\x7f]{0,120}$/D', $prefix) !== 1) {
            throw new InvalidArgument('prefix: a space, a control character or over 120 bytes; use the sidecar\'s');
        }
        if (!($wechatWait >= 0.001 && $wechatWait <= 3600)) { // NAN is neither; curl waits for ever with 0 ms
            throw new InvalidArgument('wechatWait: out of range; use 0.001 to 3600 seconds');
        }
        $transport = function_exists('curl_init') ? new Http\Curl() : new Http\Streams();
        $this->store = $memcached === null ? null : new Store($memcached);
        $this->sidecar = new Sidecar($sidecar, $bearerFile, $transport, $caFile);
        $this->wechat = new Wechat($transport, $wechatHosts, $wechatWait);
    }

    /** Returns the Client of another account over the same connections. */
    public function forAccount(string $appId): self
    {
        self::check($appId);
        $other = clone $this;
        $other->appId = $appId;
        $other->healths = [];
        $other->backoff = null;
        $other->tokens = null;

        return $other;
    }

    public function appId(): string
    {
        return $this->appId;
    }

    /** Returns an access_token that WeChat accepts. */
    public function accessToken(): string
    {
        $token = $this->get('access_token');
        $this->tokens?->add($token);

        return $token;
    }

    /**
     * Reports that WeChat refused a token (40001, 40014 or 42001; never 48001), and returns the current one. That is at
     * once if a newer one exists, else after one renewal for all callers. Refused with a retryAfter means that it is
     * too early for another renewal. For '' it returns the sidecar's current token and reports nothing.
     */
    public function refresh(#[\SensitiveParameter] string $rejected): string
    {
        $token = $this->renew('access_token', $rejected);
        $this->tokens?->add($token);

        return $token;
    }

    /**
     * Returns a ticket that WeChat accepts. Refused with errcode 404: the sidecar's WECHAT_TICKETS does not name it.
     *
     * @param string $kind jsapi or wx_card
     */
    public function ticket(string $kind): string
    {
        return $this->get(self::ticketKind($kind));
    }

    /** Reports that WeChat refused a ticket, and returns the current one, as refresh() does for a token. */
    public function refreshTicket(string $kind, #[\SensitiveParameter] string $rejected): string
    {
        return $this->renew(self::ticketKind($kind), $rejected);
    }

    /**
     * Signs a page for WeChat's JS-SDK with the jsapi ticket: see ticket(). The page passes the result to wx.config.
     *
     * @param string $url the page's address as location.href has it; the part from # on is not signed
     * @return array{appId: string, timestamp: int, nonceStr: string, signature: string, url: string}
     */
    public function jsConfig(#[\SensitiveParameter] string $url): array
    {
        $page = JsSdk::page($url);

        return JsSdk::sign($this->appId, $this->ticket('jsapi'), $page);
    }

    /**
     * Exchanges the code of wx.login in a mini program, for session_key, openid and, if WeChat sends one, unionid. The
     * session_key must never reach the mini program.
     *
     * A code works once, so it is sent once. After an exception, get another code: only Refused with a retryAfter says
     * that this one can be sent again. Refused with errcode 40029 or 40163: the code is invalid or was used; 404: the
     * sidecar's SIDECAR_LOGIN is not set.
     *
     * @return array<string, mixed> WeChat's answer
     */
    public function login(#[\SensitiveParameter] string $code): array
    {
        return $this->sidecar->exchange($this->appId, 'login', 'js_code', $code);
    }

    /**
     * Exchanges the code that WeChat added to the address of a web page, for openid, access_token, refresh_token and
     * more: the user's own, which must never reach the page. Before that, check that the parameter state is the one
     * that your app sent with this user to WeChat. It fails as login() does.
     *
     * @return array<string, mixed> WeChat's answer
     */
    public function oauth(#[\SensitiveParameter] string $code): array
    {
        return $this->sidecar->exchange($this->appId, 'oauth', 'code', $code);
    }

    /**
     * Sends a request to WeChat with the access_token in its query. If WeChat refuses the token with 40001, 40014 or
     * 42001, and there is another one, it repeats the request once: WeChat does not execute a request that it refuses.
     * It returns any other answer unchanged, redirects and errcodes included.
     *
     * @param string                   $url     https, on WeChat's API or one of wechatHosts, without an access_token
     * @param array<mixed>|string|null $body    an array is sent as JSON, a string unchanged
     * @param array<string, string>    $headers Content-Type is application/json by default
     */
    public function request(
        string $method,
        #[\SensitiveParameter] string $url,
        #[\SensitiveParameter] array|string|null $body = null,
        #[\SensitiveParameter] array $headers = [],
    ): Response {
        return $this->wechat->request($this, $method, $url, $body, $headers);
    }

    /** @internal */
    public function backoff(): Backoff
    {
        return $this->backoff ??= new Backoff($this->appId);
    }

    /**
     * Returns the tokens that it returns from now on.
     *
     * @internal
     */
    public function tokens(): Tokens
    {
        return $this->tokens ??= new Tokens(); // a read that nobody asks about costs 2 % less without
    }

    private function get(string $kind): string
    {
        $credential = $this->stored($kind, false, $asked, $failure);
        if ($credential !== null) {
            return $credential;
        }
        try {
            return $this->sidecar->get($this->appId, $kind);
        } catch (SidecarUnavailable $e) {
            $credential = $asked ? null : $this->stored($kind, true, $asked, $failure);
            $e = $failure === null ? $e : new SidecarUnavailable("{$e->getMessage()}; and memcached: $failure");

            return $credential ?? throw $e;
        }
    }

    /**
     * Reads memcached. Returns null on a miss, a damaged value or a failure; then $failure says why.
     *
     * @param bool $always also within a pause
     * @param bool $asked  whether memcached was asked, or there is none
     */
    private function stored(string $kind, bool $always, ?bool &$asked, ?string &$failure): ?string
    {
        if ($this->store === null || !$this->store->isOpen()) {
            $asked = true;

            return null;
        }
        $key = $this->prefix . $this->appId . ($kind === 'access_token' ? '' : ":$kind");
        $health = $this->healths[$kind] ??= new Health($this->store->server($key));
        $entered = $health->enter($seen);
        $asked = $entered || $always;
        if (!$asked) {
            return null;
        }
        $credential = $this->store->get($key, $health->server, $failure);
        if ($entered || $failure === null) {
            $health->leave($seen, $failure !== null);
        }

        return $credential;
    }

    private function renew(string $kind, #[\SensitiveParameter] string $rejected): string
    {
        if ($rejected === '') {
            return $this->sidecar->get($this->appId, $kind);
        }
        $wait = $this->backoff()->delayed($kind, $rejected);
        if ($wait > 0 && $this->stored($kind, false, $asked, $failure) === $rejected) {
            throw new Refused("refresh $kind of $this->appId", 429, 'too early for another report', null, $wait);
        }
        try {
            // Not from memcached: only the sidecar knows whether the token there is newer or older than this one.
            return $this->sidecar->refresh($this->appId, $kind, $rejected);
        } catch (Refused $e) {
            if ($e->errcode === 429) {
                $this->backoff()->delay($kind, $rejected, $e->retryAfter ?? 0);
            }

            throw $e;
        }
    }

    private static function check(string $appId): void
    {
        if ($appId === '') {
            throw new InvalidArgument('the AppID is empty; check the variable that it comes from');
        }
        if (preg_match('/^[0-9A-Fa-f]{32}$/D', $appId) === 1) {
            throw new InvalidArgument('32 hexadecimal digits are an AppSecret, not an AppID; no AppSecret is needed');
        }
        if (preg_match('/^[A-Za-z0-9_-]{1,64}$/D', $appId) !== 1) {
            throw new InvalidArgument('not an AppID; use 1 to 64 letters, digits, _ or -');
        }
    }

    private static function ticketKind(string $kind): string
    {
        return match ($kind) {
            'jsapi', 'wx_card' => "{$kind}_ticket",
            default => throw new InvalidArgument('unknown kind of ticket; use jsapi or wx_card'),
        };
    }
}
