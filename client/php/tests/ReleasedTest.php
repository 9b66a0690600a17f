<?php

declare(strict_types=1);

namespace Wxsidecar\Tests;

/** What the classes offer to programs is what the last release offered, or more. See docs/released. */
final class ReleasedTest extends \PHPUnit\Framework\TestCase
{
    private const FILE = __DIR__ . '/../../../docs/released/php.txt';

    public function testPublicMembers(): void
    {
        $lines = [];
        require_once __DIR__ . '/EasyWeChat/contracts.php';
        $src = __DIR__ . '/../src/';
        foreach (glob($src . '{,EasyWeChat/,EasyWeChat/V5/}*.php', GLOB_BRACE) as $file) { // Http is internal
            $class = new \ReflectionClass('Wxsidecar\\' . strtr(substr($file, strlen($src), -4), '/', '\\'));
            if (!str_contains((string) $class->getDocComment(), '@internal')) {
                $lines[] = "class $class->name";
            }
            foreach ([...$class->getMethods(), ...$class->getProperties()] as $m) {
                $comments = $class->getDocComment() . $m->getDocComment();
                if ($m->isPublic() && $m->class === $class->name && !str_contains($comments, '@internal')) {
                    $lines[] = self::line($m);
                }
            }
        }
        sort($lines);
        if (getenv('WXSIDECAR_RELEASE')) {
            file_put_contents(self::FILE, implode("\n", $lines) . "\n");
        }
        $promised = file(self::FILE, FILE_IGNORE_NEW_LINES);
        self::assertNotEmpty($promised);
        $gone = array_values(array_diff($promised, $lines));
        self::assertSame([], $gone, 'docs/released/php.txt promises these: restore them; new ones can stand beside');
    }

    private static function line(\ReflectionMethod|\ReflectionProperty $m): string
    {
        if ($m instanceof \ReflectionProperty) {
            return "$m->class::\$$m->name: {$m->getType()}";
        }
        $parameters = [];
        foreach ($m->getParameters() as $p) {
            $default = !$p->isDefaultValueAvailable() ? '' : ' = '
                . json_encode($p->getDefaultValue(), JSON_UNESCAPED_SLASHES);
            $parameters[] = ltrim($p->getType() . ' $') . $p->getName() . $default;
        }
        return ($m->isStatic() ? 'static ' : '') . $m->class . '::' . $m->getName()
            . '(' . implode(', ', $parameters) . '): ' . ($m->getReturnType() ?? 'mixed');
    }
}
