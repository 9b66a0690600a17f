<?php

// The README's lines for those who want no library; the test cuts them out of it.

declare(strict_types=1);

require (string) getenv('README_LINES');

return static fn (): string => wx_access_token(APPID);
