<?php

declare(strict_types=1);

namespace Wxsidecar;

/** The program is wrong: a bad AppID, an address that is none, a request that may not carry the token. */
final class InvalidArgument extends \InvalidArgumentException implements Exception
{
}
