<?php

// client/php.

declare(strict_types=1);

$connect = require __DIR__ . '/connect.php';

return static fn (): string => getenv('TICKET') ? $connect()->ticket('jsapi') : $connect()->accessToken();
