<?php

// The class's fourth variant: a token is fetched for every request.

declare(strict_types=1);

return static fn (): ?string => fetch_token();
