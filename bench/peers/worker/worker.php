<?php

/*
 * One worker in PHP: what ./main.go says, for the contestant that is a PHP class. It keeps the token in memcached
 * under the AppID, for 3600 s, and fetches where memcached has none. This class was written for the bench and behaves
 * as the well-known one does in its memcache variant. What a process of PHP-FPM keeps between two requests is kept
 * here too: nothing but the process. So each request makes a new object and connects anew.
 *
 * The one thing that is changed is where api.weixin.qq.com is: CURLOPT_CONNECT_TO.
 */

declare(strict_types=1);

ini_set('display_errors', '0');
ini_set('log_errors', '0'); // a warning may quote the URL, and with it the AppSecret

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

/** One request that the worker serves. The class has no way to report a refused token. */
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
    // The app's call; its connection is kept, since this is not what is measured.
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

[, $place, $of] = $argv;
$nothing = ['given' => 0, 'invalid' => 0, 'errors' => 0, 'worst_us' => 0];
$tally = $nothing;
$api = curl_init();
$wait = null; // µs until the next request; null: at rest
echo "ready\n";
while (true) {
    $readable = [STDIN];
    $none = [];
    $told = stream_select($readable, $none, $none, $wait === null ? null : 0, $wait);
    if ($told === 0) {
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
            $wait = intdiv(PERIOD * (int) $place, (int) $of);
            break;
        case "stop\n":
            $wait = null;
            echo json_encode($tally), "\n";
            break;
        case false:
            exit;
    }
}
