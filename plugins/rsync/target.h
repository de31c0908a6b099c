/* Where the objects are: "[user@]host:/path" through ssh, or "rsync://[user@]host[:port]/module[/path]" from a daemon.
 */
#ifndef COFRE_RSYNC_TARGET_H
#define COFRE_RSYNC_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include <cofre/plugin.h>

#define TARGET_MAX 1024

struct target {
    bool daemon;
    char login[TARGET_MAX]; /* "user@host" or "host", for ssh; "" with a daemon */
    char spec[TARGET_MAX];  /* the whole, as rsync takes it, with '/' at the end: objects are sent here */
    char path[TARGET_MAX];  /* of the place, with '/' at the end, as the far side's rsync takes it in an option */
    /* What is read is read from the base, with this before its name. A daemon without chroot (3.5.0) finds no file that
     * is named relative to a directory below its module, so its base is the module: "rsync://host/module/", "path/./".
     */
    char base[TARGET_MAX], inner[TARGET_MAX];
};

/* What rsync, a shell or a log could take for something else is refused: control bytes, the wildcards *?[] and the
 * backslash anywhere, a user or host of other characters than names have. Blanks, quotes and $() are fine: rsync
 * escapes them. COFRE_E_CONFIG with a hint. */
int32_t target_parse(const char *text, struct target *target, struct cofre_error *error);

#endif
