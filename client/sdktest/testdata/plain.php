<?php

// The README's lines for apps without a library; the test extracts them.

declare(strict_types=1);

require (string) getenv('README_LINES');

return static fn (): string => wx_access_token(APPID);
