<?php

declare(strict_types=1);

// Loads classes as composer.json says, so that the tests need no vendor folder.
(static function (): void {
    $composer = json_decode((string) file_get_contents(__DIR__ . '/../composer.json'), true);
    $folders = $composer['autoload']['psr-4'] + $composer['autoload-dev']['psr-4'];
    spl_autoload_register(static function (string $class) use ($folders): void {
        foreach ($folders as $namespace => $folder) {
            $file = __DIR__ . "/../$folder" . strtr(substr($class, strlen($namespace)), '\\', '/') . '.php';
            if (str_starts_with($class, $namespace) && is_file($file)) {
                require $file;
            }
        }
    });
    require __DIR__ . '/Clock.php';
})();
