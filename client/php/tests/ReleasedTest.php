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
        foreach (glob(__DIR__ . '/../src/*.php') as $file) { // the folders need frameworks or are internal
            if (str_contains($file, 'EasyWeChat')) {
                continue;
            }
            $class = new \ReflectionClass('Wxsidecar\\' . basename($file, '.php'));
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
        self::assertSame([], array_values(array_diff($promised, $lines)), 'docs/released/php.txt promises these');
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
