<?php

declare(strict_types=1);

namespace Wxsidecar;

use Wxsidecar\Http\Answer;
use Wxsidecar\Http\NoAnswer;
use Wxsidecar\Http\Request;
use Wxsidecar\Http\Transport;
use Wxsidecar\Http\Url;

/**
 * The sidecar's API. It uses no proxy, whatever the environment says.
 *
 * @internal
 */
final class Sidecar
{
    /** Seconds: one more than the longest time that a sidecar takes to answer. */
    private const WAIT = 13.0;
    /** Bytes of an answer, which has a few hundred. */
    private const MAX_ANSWER = 65_536;

    private readonly Url $base;
    private readonly ?string $socket;
    private readonly ?Bearer $bearer;
    /** The last request without a secret. */
    private ?Request $last = null;

    /**
     * @param string      $address    http://host:port or unix:///path
     * @param string|null $bearerFile holds the bearer token, or two of them
     * @param string|null $caFile     the CAs of a sidecar with https, in PEM
     */
    public function __construct(
        #[\SensitiveParameter] private readonly string $address,
        ?string $bearerFile,
        private readonly Transport $transport,
        private readonly ?string $caFile = null,
    ) {
        $this->socket = preg_match('~^unix://(/.+)$~D', $address, $match) === 1 ? $match[1] : null;
        $base = Url::parse($this->socket === null ? $address : 'http://localhost');
        if ($base === null || $base->query !== '') {
            throw new InvalidArgument('sidecar: unsupported address; use http://host:port or unix:///path');
        }
        if ($caFile !== null && $base->scheme !== 'https') {
            throw new InvalidArgument('caFile: the sidecar is not at https://; write that, or leave caFile out');
        }
        $this->base = $base->withPath(rtrim($base->path, '/'));
        $this->bearer = $bearerFile === null ? null : new Bearer($bearerFile);
    }

    /** @param string $kind access_token, jsapi_ticket or wx_card_ticket */
    public function get(string $appId, string $kind): string
    {
        return $this->credential("get $kind of $appId", 'GET', "/v1/$appId/$kind");
    }

    public function refresh(string $appId, string $kind, #[\SensitiveParameter] string $rejected): string
    {
        $report = ['rejected' => $rejected];

        return $this->credential("refresh $kind of $appId", 'POST', "/v1/$appId/$kind/refresh", $report);
    }

    /**
     * Exchanges a user's code. It is sent once, because a code works once.
     *
     * @param string $action login or oauth
     * @return array<string, mixed> WeChat's answer
     */
    public function exchange(string $appId, string $action, string $field, #[\SensitiveParameter] string $code): array
    {
        $what = "$action of $appId";
        $fields = $this->call($what, 'POST', "/v1/$appId/$action", [$field => $code], true);

        return is_string($fields['openid'] ?? null) ? $fields : throw $this->foreign($what, 200);
    }

    /** @param array<string, string>|null $body */
    private function credential(
        string $what,
        string $method,
        string $path,
        #[\SensitiveParameter] ?array $body = null,
    ): string {
        $fields = $this->call($what, $method, $path, $body);
        $credential = $fields['access_token'] ?? $fields['ticket'] ?? null;
        if (is_string($credential) && preg_match('/^[!-~]{1,2048}$/D', $credential) === 1) {
            return $credential;
        }

        throw $this->foreign($what, 200);
    }

    /**
     * @param array<string, string>|null $body sent as JSON
     * @param bool                       $once whether to use a connection of its own: curl sends a request again if
     *                                         one that it reuses has ended
     * @return array<string, mixed> the answer, which has no errcode
     */
    private function call(
        string $what,
        string $method,
        string $path,
        #[\SensitiveParameter] ?array $body = null,
        bool $once = false,
    ): array {
        $bearer = $this->bearer?->other($what, null);
        $answer = $this->send($what, $method, $path, $bearer, $body, $once);
        if ($answer->status === 401 && $bearer !== null) {
            try {
                $other = $this->bearer?->other($what, $bearer);
            } catch (SidecarUnavailable) {
                $other = null; // the refusal says more
            }
            $answer = $other === null ? $answer : $this->send($what, $method, $path, $other, $body, $once);
        }

        return $this->read($what, $answer, [...array_values($body ?? []), (string) $bearer, (string) ($other ?? '')]);
    }

    /** @param array<string, string>|null $body */
    private function send(
        string $what,
        string $method,
        string $path,
        #[\SensitiveParameter] ?string $bearer,
        #[\SensitiveParameter] ?array $body,
        bool $once,
    ): Answer {
        try {
            return $this->transport->send($this->request($method, $this->base->path . $path, $bearer, $body, $once));
        } catch (NoAnswer $e) {
            throw new SidecarUnavailable("$what: sidecar at $this->address: {$e->getMessage()}; {$this->advice()}");
        }
    }

    /** Returns what to check after a request without an answer. curl names no cause if it is a socket. */
    private function advice(): string
    {
        clearstatcache();
        if ($this->socket === null || is_writable($this->socket)) {
            return 'check the address' . ($this->base->scheme === 'https' ? ', caFile,' : '')
                . ' and that it is running';
        }
        if (file_exists($this->socket)) {
            return "this process may not open the socket: give it the socket's group, "
                . 'in Kubernetes by supplementalGroups or fsGroup';
        }

        return 'this process sees no socket there: mount its folder, check SIDECAR_LISTEN, '
            . 'and that the sidecar is running';
    }

    /**
     * Returns the last request again if it is the same and has no secret: without this a miss takes 6 % longer.
     *
     * @param array<string, string>|null $body
     */
    private function request(
        string $method,
        string $path,
        #[\SensitiveParameter] ?string $bearer,
        #[\SensitiveParameter] ?array $body,
        bool $once,
    ): Request {
        $secret = $bearer !== null || $body !== null;
        if (!$secret && $this->last?->url->path === $path) {
            return $this->last;
        }
        $headers = ['X-Wxsidecar' => '1'];
        $headers += $bearer === null ? [] : ['Authorization' => "Bearer $bearer"];
        $headers += $body === null ? [] : ['Content-Type' => 'application/json'];
        $text = $body === null ? null : (string) json_encode($body, JSON_INVALID_UTF8_SUBSTITUTE);
        $url = $this->base->withPath($path);
        $max = self::MAX_ANSWER;
        $ca = $this->caFile;
        $wait = self::WAIT;
        $request = new Request($method, $url, $headers, $text, $this->socket, false, $wait, $max, $secret, $ca, $once);
        if (!$secret) {
            $this->last = $request;
        }

        return $request;
    }

    /**
     * @param array<string> $secrets removed from the exception, because WeChat's errmsg can repeat them
     * @return array<string, mixed>
     */
    private function read(
        string $what,
        #[\SensitiveParameter] Answer $answer,
        #[\SensitiveParameter] array $secrets,
    ): array {
        $fields = json_decode($answer->body, true);
        $errcode = $fields['errcode'] ?? 0;
        if (is_int($errcode) && $errcode !== 0) {
            $text = static fn (string $field): string
                => str_replace($secrets, '[redacted]', is_string($fields[$field] ?? null) ? $fields[$field] : '');
            $wait = (int) ($answer->headers()['retry-after'] ?? 0);

            throw new Refused($what, $errcode, $text('errmsg'), $text('hint') ?: null, $wait > 0 ? $wait : null);
        }
        if ($answer->status === 200 && is_array($fields)) {
            return $fields;
        }

        throw $this->foreign($what, $answer->status);
    }

    private function foreign(string $what, int $status): SidecarUnavailable
    {
        $means = in_array($status, [502, 503, 504], true) // a sidecar has an errcode with them
            ? 'from something in front of the sidecar; check that the sidecar runs, then what is in front of it'
            : "is not a sidecar's answer; check the address";

        return new SidecarUnavailable("$what: sidecar at $this->address: HTTP $status $means");
    }
}
