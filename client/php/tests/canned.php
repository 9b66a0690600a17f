<?php

// The process of CannedServer: php canned.php ADDRESS FOLDER. FOLDER/answers is a list of raw answers, read again for
// every request; FOLDER/log gets the requests. The answer "hang" sends nothing, "flood" is endless. An answer with
// Connection: close, and any to an HTTP/1.0 request, ends the connection.

declare(strict_types=1);

[, $address, $folder] = $argv;
$listener = stream_socket_server($address) ?: exit(1);
echo "listening\n";
$connections = $received = $answered = [];
$count = 0;
while (true) {
    $ready = [-1 => $listener] + $connections;
    $none = null;
    stream_select($ready, $none, $none, null);
    foreach ($ready as $id => $stream) {
        if ($stream === $listener) {
            $new = stream_socket_accept($listener);
            if ($new !== false) {
                $connections[++$count] = $new;
                $received[$count] = '';
            }
            continue;
        }
        $part = fread($stream, 65_536);
        if ($part === '' || $part === false) {
            fclose($stream);
            unset($connections[$id]);
            continue;
        }
        $received[$id] .= $part;
        $end = strpos($received[$id], "\r\n\r\n");
        $head = substr($received[$id], 0, $end ?: 0); // without the body, which would be copied for each part
        preg_match('/content-length: (\d+)/i', $head, $length);
        if ($end === false || strlen($received[$id]) < $end + 4 + (int) ($length[1] ?? 0)) {
            continue;
        }
        file_put_contents("$folder/log", "$id " . base64_encode($received[$id]) . "\n", FILE_APPEND);
        $received[$id] = '';
        $text = (string) file_get_contents("$folder/answers");
        $answers = array_map('base64_decode', json_decode($text, true));
        $answered[$text] = ($answered[$text] ?? 0) + 1;
        $answer = $answers[min($answered[$text], count($answers)) - 1];
        if ($answer === 'hang') {
            continue;
        }
        if ($answer === 'flood') {
            $more = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n";
            while (@fwrite($stream, $more)) {
                $more = str_repeat('a', 65_536);
            }
        } else {
            fwrite($stream, $answer);
        }
        if ($answer === 'flood' || !str_contains($head, ' HTTP/1.1') || str_contains($answer, 'Connection: close')) {
            fclose($stream);
            unset($connections[$id]);
        }
    }
}
