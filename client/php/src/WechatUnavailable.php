<?php

declare(strict_types=1);

namespace Wxsidecar;

/** WeChat did not answer Client::request(). It can have executed the request nevertheless. */
final class WechatUnavailable extends \RuntimeException implements Exception
{
}
