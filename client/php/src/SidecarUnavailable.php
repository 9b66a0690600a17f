<?php

declare(strict_types=1);

namespace Wxsidecar;

/** No sidecar answered. The message names the address and the failure, and that of memcached if it failed too. */
final class SidecarUnavailable extends \RuntimeException implements Exception
{
}
