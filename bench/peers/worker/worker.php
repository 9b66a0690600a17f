<?php

/*
 * One worker in PHP: what ./main.go describes, for the contestant that is a PHP class. The class keeps the token in
 * memcached under the AppID, for 3600 s, and fetches on a miss. It was written for the bench and behaves as the
 * well-known one does in its memcache variant. As in PHP-FPM, nothing but the process stays between two requests, so
 * each request makes a new object and connects anew.
 *
 * One thing differs: CURLOPT_CONNECT_TO says where api.weixin.qq.com is.
 */

declare(strict_types=1);

ini_set('display_errors', '0');
ini_set('log_errors', '0'); // a warning may quote the URL with the AppSecret

function ask_wechat(string $path, $curl = null)
{
    $curl = $curl ?? curl_init();
    curl_setopt_array($curl, [
        CURLOPT_URL => "https://api.weixin.qq.com$path",
        CURLOPT_RETURNTRANSFER => true,
        CURLOPT_TIMEOUT => 30,
        CURLOPT_CAINFO => getenv('SSL_CERT_FILE'),
        CURLOPT_CONNECT_TO => ['api.weixin.qq.com:443:' . getenv('PEERS_WECHAT')],
    ]);

    return json_decode((string) curl_exec($curl));
}

final class TokenInMemcache
{
    private string $appid;
    private string $secret;

    public function __construct(string $appid, string $secret)
    {
        $this->appid = $appid;
        $this->secret = $secret;
    }

    public function getAccessToken()
    {
        $mem = new Memcache();
        [$host, $port] = explode(':', getenv('MEMCACHED_SERVERS'));
        @$mem->connect($host, (int) $port);
        $token = @$mem->get($this->appid);
        if (empty($token)) {
            $answer = ask_wechat(
                "/cgi-bin/token?grant_type=client_credential&appid={$this->appid}&secret={$this->secret}"
            );
            $token = $answer->access_token ?? null;
            @$mem->set($this->appid, $token, 0, 3600);
        }

        return $token;
    }
}

/** One request that the worker serves. The class takes no report of a refused token. */
function serve(array &$tally, $api): void
{
    $start = hrtime(true);
    $class = new TokenInMemcache((string) getenv('WECHAT_APPID'), (string) getenv('WECHAT_APPSECRET'));
    $token = $class->getAccessToken();
    $tally['worst_us'] = max($tally['worst_us'], intdiv(hrtime(true) - $start, 1000));
    if (!is_string($token) || $token === '') {
        $tally['errors']++;

        return;
    }
    $tally['given']++;
    // The app's call keeps its connection, because it is not measured.
    $answer = ask_wechat('/cgi-bin/user/get?access_token=' . urlencode($token), $api);
    if (!in_array($answer->errcode ?? null, [0, 40001, 40014, 42001], true)) {
        fwrite(STDERR, "the API did not answer\n");
        exit(1);
    }
    if ($answer->errcode !== 0) {
        $tally['invalid']++;
    }
}

const PERIOD = 100000; // µs

[, $number, $of] = $argv;
$nothing = ['given' => 0, 'invalid' => 0, 'errors' => 0, 'worst_us' => 0];
$tally = $nothing;
$api = curl_init();
$wait = null; // µs until the next request; null: stopped
echo "ready\n";
while (true) {
    $readable = [STDIN];
    $none = [];
    $commands = stream_select($readable, $none, $none, $wait === null ? null : 0, $wait);
    if ($commands === 0) {
        serve($tally, $api);
        $wait = PERIOD;
        continue;
    }
    switch (fgets(STDIN)) {
        case "once\n":
            $once = $nothing;
            serve($once, $api);
            echo json_encode($once), "\n";
            break;
        case "go\n":
            $tally = $nothing;
            $wait = intdiv(PERIOD * (int) $number, (int) $of);
            break;
        case "stop\n":
            $wait = null;
            echo json_encode($tally), "\n";
            break;
        case false:
            exit;
    }
}
