<?php

// The class's fourth variant: it fetches a token for every request.

declare(strict_types=1);

return static fn (): ?string => fetch_token();
