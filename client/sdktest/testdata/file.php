<?php

// The class's file variant: the token is in access_token.json.

declare(strict_types=1);

return static function (): ?string {
    $path = (string) getenv('TOKEN_FILE');
    $found = json_decode((string) @file_get_contents($path), true);
    if (time() > ($found['expires_time'] ?? 0) + STALE) {
        $token = fetch_token();
        file_put_contents($path, json_encode(['access_token' => $token, 'expires_time' => time()]));

        return $token;
    }

    return $found['access_token'];
};
