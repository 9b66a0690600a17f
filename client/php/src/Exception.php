<?php

declare(strict_types=1);

namespace Wxsidecar;

/**
 * What every exception of this package is. None holds a token, an AppSecret or
 * the sidecar's bearer token, neither in its message nor, from PHP 8.2 on, in the
 * arguments of its trace.
 *
 * @see Refused             the sidecar answered: no
 * @see SidecarUnavailable  it did not answer
 * @see WechatUnavailable   WeChat did not answer Client::request()
 * @see InvalidArgument     the caller asked for what cannot be
 */
interface Exception extends \Throwable
{
}
