<?php

// A program that fetches its tokens itself and keeps them in one of four ways, the
// first argument: memcache, file, database, or not at all (realtime). For each line
// of its input it makes one request to WeChat and prints the errcode that came.

class OldProgram
{
    private $keep;
    private $tokens;
    private $api;

    public function __construct($keep, $tokens, $api)
    {
        $this->keep = $keep;
        $this->tokens = $tokens;
        $this->api = $api;
    }

    public function request()
    {
        $answer = $this->get($this->api . '/cgi-bin/user/get?access_token=' . $this->{$this->keep}());
        return isset($answer->errcode) ? $answer->errcode : 'no answer';
    }

    private function memcache()
    {
        $memcache = new Memcache();
        list($host, $port) = explode(':', getenv('MEMCACHED'));
        $memcache->connect($host, (int)$port);
        $token = $memcache->get(getenv('APPID'));
        if (empty($token)) {
            $token = $this->realtime();
            $memcache->set(getenv('APPID'), $token, 0, 3600);
        }
        return $token;
    }

    private function file()
    {
        $kept = json_decode((string)@file_get_contents(getenv('TOKEN_FILE')));
        if (!$kept || time() > $kept->expires_time + 3600) {
            $kept = array('access_token' => $this->realtime(), 'expires_time' => time());
            file_put_contents(getenv('TOKEN_FILE'), json_encode($kept));
            $kept = (object)$kept;
        }
        return $kept->access_token;
    }

    private function database()
    {
        $db = new mysqli('localhost', 'root', '', getenv('DATABASE'), 0, getenv('SOCKET'));
        $row = $db->query("SELECT `value`, `expire` FROM `wx_token` WHERE `type` = 'access_token'")->fetch_object();
        if (time() > $row->expire + 3600) {
            $row->value = $this->realtime();
            $db->query("UPDATE `wx_token` SET `value` = '" . $row->value . "', `expire` = '" . time() . "' WHERE `type` = 'access_token'");
        }
        return $row->value;
    }

    private function realtime()
    {
        $answer = $this->get($this->tokens . '/cgi-bin/token?grant_type=client_credential&appid=' . getenv('APPID')
            . '&secret=' . getenv('APPSECRET'));
        return isset($answer->access_token) ? $answer->access_token : null;
    }

    private function get($url)
    {
        $curl = curl_init($url);
        curl_setopt_array($curl, array(CURLOPT_RETURNTRANSFER => true, CURLOPT_TIMEOUT => 13, CURLOPT_PROXY => ''));
        return json_decode((string)curl_exec($curl));
    }
}

list(, $keep, $tokens, $api) = $argv;
$program = new OldProgram($keep, $tokens, $api);
while (fgets(STDIN) !== false) {
    echo $program->request(), "\n";
}
