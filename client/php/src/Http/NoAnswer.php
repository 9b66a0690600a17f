<?php

declare(strict_types=1);

namespace Wxsidecar\Http;

/**
 * Why there is no answer. Those who know whom they asked turn it into an
 * exception of theirs.
 *
 * @internal
 */
final class NoAnswer extends \RuntimeException
{
}
