<?php

declare(strict_types=1);

namespace Wxsidecar;

/**
 * All exceptions of this package implement it. None holds a token, an AppSecret or the
 * sidecar's bearer token in its message or, from PHP 8.2 on, in the arguments of its
 * trace.
 *
 * @see Refused             the sidecar refused
 * @see SidecarUnavailable  neither memcached nor the sidecar answered
 * @see WechatUnavailable   WeChat did not answer Client::request()
 * @see InvalidArgument     an argument is invalid
 */
interface Exception extends \Throwable
{
}
