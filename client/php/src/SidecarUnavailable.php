<?php

declare(strict_types=1);

namespace Wxsidecar;

/** No sidecar answered. The message says which address was asked, what happened there, and of memcached too where it failed. */
final class SidecarUnavailable extends \RuntimeException implements Exception
{
}
