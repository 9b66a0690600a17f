<?php

// A program of the kind that many have: it fetches its token from WeChat each
// time that it needs one. Beside a sidecar it needs another address for that, the
// first argument, and nothing else; what it does with the token it still does at
// WeChat's own address, the second one.
//
// For each line of its input it does what the line says and prints the errcode
// that came of it, and of a ticket the SHA-256.

class RealTime
{
    private $tokens;
    private $api;
    private $appid;
    private $secret;

    public function __construct($tokens, $api, $appid, $secret)
    {
        $this->tokens = $tokens;
        $this->api = $api;
        $this->appid = $appid;
        $this->secret = $secret;
    }

    /** Lists the followers. */
    public function call()
    {
        $answer = $this->accessToken();
        if (isset($answer->access_token)) {
            $answer = $this->get($this->api . '/cgi-bin/user/get?access_token=' . $answer->access_token);
        }
        return isset($answer->errcode) ? (string)$answer->errcode : 'no answer';
    }

    /** Fetches what a page is signed with. */
    public function ticket()
    {
        $answer = $this->accessToken();
        if (isset($answer->access_token)) {
            $answer = $this->get($this->tokens . '/cgi-bin/ticket/getticket?type=jsapi&access_token=' . $answer->access_token);
        }
        if (!isset($answer->errcode)) {
            return 'no answer';
        }
        return $answer->errcode . (isset($answer->ticket) ? ' ' . hash('sha256', $answer->ticket) : '');
    }

    private function accessToken()
    {
        return $this->get($this->tokens . '/cgi-bin/token?grant_type=client_credential&appid=' . $this->appid
            . '&secret=' . $this->secret);
    }

    private function get($url)
    {
        $curl = curl_init($url);
        curl_setopt($curl, CURLOPT_RETURNTRANSFER, true);
        curl_setopt($curl, CURLOPT_TIMEOUT, 13);
        curl_setopt($curl, CURLOPT_PROXY, '');
        return json_decode((string)curl_exec($curl));
    }
}

list(, $tokens, $api, $appid, $secret) = $argv;
$program = new RealTime($tokens, $api, $appid, $secret);
while (($line = fgets(STDIN)) !== false) {
    echo trim($line) === 'ticket' ? $program->ticket() : $program->call(), "\n";
}
