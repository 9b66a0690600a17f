<?php

declare(strict_types=1);

namespace Wxsidecar\Http;

/**
 * A request without an answer. Sidecar and Wechat turn it into their own exceptions.
 *
 * @internal
 */
final class NoAnswer extends \RuntimeException
{
}
