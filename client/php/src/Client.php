<?php

declare(strict_types=1);

namespace Wxsidecar;

/**
 * Gives out the credentials of one WeChat account. It never holds the AppSecret
 * and never asks WeChat for a token: a sidecar does that, keeps the token in
 * memcached under the AppID, and answers over HTTP where memcached has none.
 *
 * Where a token comes from:
 *  1. From memcached: one get, the usual case.
 *  2. On a miss, a damaged value or a failure there: from the sidecar.
 *  3. After a failure of memcached (a miss is none) the sidecar is asked straight
 *     away for 1 s, then 2, 4, 8 and 10 s, so that an outage costs each of these
 *     spells one time-out and not every call one. Of several memcacheds each has
 *     its own outages: what is on the others is read as ever.
 *  4. Where the sidecar does not answer either, a memcached that was passed over
 *     is asked after all: nobody fails for our memory's sake.
 *
 * A call waits for memcached as long as its extension is told to, and at most 13 s
 * for the sidecar. Every method throws a Wxsidecar\Exception, and nothing else.
 */
final class Client
{
    public const DEFAULT_SIDECAR = 'http://127.0.0.1:7200';

    private readonly ?Store $store;
    private readonly Sidecar $sidecar;
    private readonly Wechat $wechat;
    /** @var array<string, Health> of the servers that have this account's credentials, by kind */
    private array $healths = [];

    /**
     * It connects to nothing: memcached and the sidecar may come later.
     *
     * @param string                     $appId       1 to 64 letters, digits, _ or -
     * @param \Memcached|\Memcache|null  $memcached   with its servers and time-outs; null: only the sidecar is asked
     * @param string                     $sidecar     http://host:port or unix:///path
     * @param string                     $prefix      before every key, the same as the sidecar's MEMCACHED_KEY_PREFIX
     * @param string|null                $bearerFile  holds the bearer token that the sidecar asks for; null: none
     * @param list<string>               $wechatHosts further hosts that request() may send the token to, as host or
     *                                                host:port: over https, or plain http towards loopback
     * @param float                      $wechatWait  seconds that request() waits for WeChat's answer, 0.001 to 3600
     */
    public function __construct(
        private string $appId,
        \Memcached|\Memcache|null $memcached = null,
        #[\SensitiveParameter] string $sidecar = self::DEFAULT_SIDECAR, // people put passwords into URLs
        private readonly string $prefix = '',
        ?string $bearerFile = null,
        array $wechatHosts = [],
        float $wechatWait = 30,
    ) {
        self::check($appId);
        if (preg_match('/^[^\x00-\x20\x7f]{0,120}$/D', $prefix) !== 1) {
            throw new InvalidArgument('the prefix has a space, a control character or more than 120 bytes');
        }
        if (!($wechatWait >= 0.001 && $wechatWait <= 3600)) { // NAN is neither; to curl, 0 ms are for ever
            throw new InvalidArgument('wechatWait is in seconds, from 0.001 to 3600');
        }
        $transport = function_exists('curl_init') ? new Http\Curl() : new Http\Streams();
        $this->store = $memcached === null ? null : new Store($memcached);
        $this->sidecar = new Sidecar($sidecar, $bearerFile, $transport);
        $this->wechat = new Wechat($transport, $wechatHosts, $wechatWait);
    }

    /** The Client of another account over the same connections. */
    public function forAccount(string $appId): self
    {
        self::check($appId);
        $other = clone $this;
        $other->appId = $appId;
        $other->healths = [];

        return $other;
    }

    /** An access_token that WeChat accepts. */
    public function accessToken(): string
    {
        return $this->get('access_token');
    }

    /**
     * Says that WeChat refused a token (40001, 40014 or 42001; never for 48001), and returns the current one: at once
     * where there is a newer one already, else after one renewal, however many callers there are. Refused with a
     * retryAfter means that no renewal is allowed so soon after the last one. '' asks the sidecar for the current
     * token and renews nothing.
     */
    public function refresh(#[\SensitiveParameter] string $rejected): string
    {
        return $this->renew('access_token', $rejected);
    }

    /**
     * A ticket that WeChat accepts. Refused with errcode 404: the sidecar does not keep this one.
     *
     * @param string $kind jsapi or wx_card
     */
    public function ticket(string $kind): string
    {
        return $this->get(self::ticketKind($kind));
    }

    /** Says that WeChat refused a ticket, and returns the current one, as refresh() does for a token. */
    public function refreshTicket(string $kind, #[\SensitiveParameter] string $rejected): string
    {
        return $this->renew(self::ticketKind($kind), $rejected);
    }

    /**
     * Sends a request to WeChat with the access_token in its query. Where WeChat refuses the token with 40001, 40014 or
     * 42001, and another one can be had, it is sent once more with that: a refused request was not carried out. Any
     * other answer is returned as it is, redirects and errcodes included.
     *
     * @param string                   $url     https, on WeChat's API or one of wechatHosts, without an access_token
     * @param array<mixed>|string|null $body    an array is sent as JSON, a string as it is
     * @param array<string, string>    $headers Content-Type is application/json unless said here
     */
    public function request(
        string $method,
        #[\SensitiveParameter] string $url,
        #[\SensitiveParameter] array|string|null $body = null,
        #[\SensitiveParameter] array $headers = [],
    ): Response {
        return $this->wechat->request($this, $method, $url, $body, $headers);
    }

    private function get(string $kind): string
    {
        if ($this->store === null) {
            return $this->sidecar->get($this->appId, $kind);
        }
        $key = $this->prefix . $this->appId . ($kind === 'access_token' ? '' : ":$kind");
        $health = $this->healths[$kind] ??= new Health($this->store->server($key));
        $asked = $health->enter($seen);
        if ($asked) {
            $credential = $this->store->get($key, $health->server, $failure);
            $health->leave($seen, $failure !== null);
            if ($credential !== null) {
                return $credential;
            }
        }
        try {
            return $this->sidecar->get($this->appId, $kind);
        } catch (SidecarUnavailable $e) {
            if (!$asked) {
                $credential = $this->store->get($key, $health->server, $failure);
                if ($failure === null) {
                    $health->leave($seen, false);
                }
                if ($credential !== null) {
                    return $credential;
                }
            }

            throw $failure === null ? $e : new SidecarUnavailable("{$e->getMessage()}; and memcached: $failure");
        }
    }

    private function renew(string $kind, #[\SensitiveParameter] string $rejected): string
    {
        // memcached is not looked at: only the sidecar knows whether what is there is newer than this one or older.
        return $rejected === ''
            ? $this->sidecar->get($this->appId, $kind)
            : $this->sidecar->refresh($this->appId, $kind, $rejected);
    }

    private static function check(string $appId): void
    {
        if (preg_match('/^[A-Za-z0-9_-]{1,64}$/D', $appId) !== 1) {
            throw new InvalidArgument('this is not an AppID, which is 1 to 64 letters, digits, _ or -');
        }
    }

    private static function ticketKind(string $kind): string
    {
        return match ($kind) {
            'jsapi', 'wx_card' => "{$kind}_ticket",
            default => throw new InvalidArgument('there is no ticket of this kind: jsapi and wx_card are'),
        };
    }
}
