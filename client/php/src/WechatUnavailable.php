<?php

declare(strict_types=1);

namespace Wxsidecar;

/** WeChat did not answer Client::request(). It may have carried the request out all the same. */
final class WechatUnavailable extends \RuntimeException implements Exception
{
}
