<?php

declare(strict_types=1);

namespace Wxsidecar;

/** An argument is invalid: an AppID, an address, or a request that must not carry the token. */
final class InvalidArgument extends \InvalidArgumentException implements Exception
{
}
