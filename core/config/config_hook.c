#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "config/config_build.h"
#include "config/section.h"

#define SHELL "sh:"

const char *const config_hook_names[CONFIG_HOOKS] = {
    [CONFIG_BEFORE] = "before",
    [CONFIG_AFTER] = "after",
    [CONFIG_ON_SUCCESS] = "on_success",
    [CONFIG_ON_FAILURE] = "on_failure",
    [CONFIG_BEFORE_RESTORE] = "before_restore",
    [CONFIG_AFTER_RESTORE] = "after_restore",
};

void config_hook_free(struct config_hook *hook)
{
    for (size_t i = 0; i < hook->word_count; i++)
        free(hook->words[i]);
    free(hook->words);
    *hook = (struct config_hook){0};
}

/* ---- words ---- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* One word; *at is behind it afterwards. out: room for the rest of the text. *quoted: a part of it stood in quotes, or
 * behind a backslash. */
static int take_word(const char **at, char *out, bool *quoted, struct error *e)
{
    const char *p = *at;
    char quote = '\0';
    *quoted = false;
    for (; *p && (quote || !is_blank(*p)); p++) {
        bool escapes = *p == '\\' && (!quote || (quote == '"' && (p[1] == '"' || p[1] == '\\')));
        if (!quote && (*p == '\'' || *p == '"')) {
            quote = *p;
            *quoted = true;
        } else if (quote && *p == quote) {
            quote = '\0';
        } else if (escapes && !p[1]) {
            return error_set(e, ERROR_CONFIG, "it ends with a backslash that takes nothing");
        } else {
            *quoted = *quoted || escapes;
            p += escapes;
            *out++ = *p;
        }
    }
    *out = '\0';
    *at = p;
    return quote ? error_set(e, ERROR_CONFIG, "a quote (%c) is not closed", quote) : 0;
}

/* Who writes one of these as a word of its own means a shell. */
static bool is_for_a_shell(const char *word)
{
    static const char *const operators[] = {"|", "||", "&", "&&", ";", "<", ">", ">>", "2>", "2>>", "2>&1", ">&2"};
    for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++)
        if (strcmp(word, operators[i]) == 0)
            return true;
    return false;
}

static int add_word(struct config_hook *hook, const char *word, struct error *e)
{
    if (hook->word_count == CONFIG_HOOK_WORDS)
        return error_set(e, ERROR_CONFIG, "it has more than %d words", CONFIG_HOOK_WORDS);
    hook->words[hook->word_count] = text_copy(word);
    return hook->words[hook->word_count++] ? 0 : error_memory(e);
}

static int split(const char *text, char *word, struct config_hook *hook, struct error *e)
{
    for (;;) {
        bool quoted;
        while (is_blank(*text))
            text++;
        if (!*text)
            return 0;
        if (take_word(&text, word, &quoted, e) < 0)
            return -1;
        if (!quoted && is_for_a_shell(word)) {
            error_set(e, ERROR_CONFIG, "'%s' is for a shell, and none looks at it", word);
            return error_hint(e, "put sh: in front of all of it, or the word into quotes");
        }
        if (add_word(hook, word, e) < 0)
            return -1;
    }
}

static int take_shell(const char *text, struct config_hook *hook, struct error *e)
{
    text += strlen(SHELL);
    while (is_blank(*text))
        text++;
    if (!*text)
        return error_set(e, ERROR_CONFIG, "nothing stands behind sh:");
    return add_word(hook, "/bin/sh", e) < 0 || add_word(hook, "-c", e) < 0 ? -1 : add_word(hook, text, e);
}

static int check_words(const struct config_hook *hook, struct error *e)
{
    const char *program = hook->word_count ? hook->words[0] : "";
    if (!*program)
        return error_set(e, ERROR_CONFIG, "it names no program");
    if (strchr(program, '/') && program[0] != '/') {
        error_set(e, ERROR_CONFIG, "the path of its program is not absolute: '%.200s'", program);
        return error_hint(e, "write it from '/' on, or the name alone of what is in %s", CONFIG_HOOK_PATH);
    }
    return 0;
}

int config_hook_split(const char *text, struct config_hook *hook, struct error *e)
{
    AUTO_FREE char *word = malloc(strlen(text) + 1);
    *hook = (struct config_hook){.words = calloc(CONFIG_HOOK_WORDS + 1, sizeof(char *))};
    int result = !word || !hook->words                      ? error_memory(e)
                 : strncmp(text, SHELL, strlen(SHELL)) == 0 ? take_shell(text, hook, e)
                                                            : split(text, word, hook, e);
    if (result == 0)
        result = check_words(hook, e);
    if (result < 0)
        config_hook_free(hook);
    return result;
}

int config_hook_build(struct config_hook *hooks, const struct section *section, struct error *e)
{
    for (size_t i = 0; i < CONFIG_HOOKS; i++) {
        const struct config_key *key = section_find(section, config_hook_names[i]);
        if (!key || config_hook_split(key->value, &hooks[i], e) == 0)
            continue;
        error_context(e, "'%s': ", key->name);
        return section_error_at_key(key, e);
    }
    return 0;
}

/* ---- the program ---- */

static char *not_there(const char *word, int errnum, struct error *e)
{
    if (strchr(word, '/'))
        error_system(e, errnum, "find program '%s'", word);
    else
        error_set(e, ERROR_CONFIG, "program '%.200s' is in none of %s", word, CONFIG_HOOK_PATH);
    error_hint(e, "install it, or write where it is");
    e->class = ERROR_CONFIG;
    return NULL;
}

static int check_program(const char *path, struct error *e)
{
    struct stat st;
    if (file_check_trusted(path, e) < 0) {
        e->class = ERROR_CONFIG;
        return -1;
    }
    if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0)
        return 0;
    error_set(e, ERROR_CONFIG, "'%s' is no program", path);
    return error_hint(e, "chmod u+x '%s', if it is meant to be one", path);
}

char *config_hook_program(const char *word, struct error *e)
{
    char path[PATH_MAX];
    const char *place = strchr(word, '/') ? "" : CONFIG_HOOK_PATH;
    for (;; place++) {
        size_t n = strcspn(place, ":");
        int length = snprintf(path, sizeof path, "%.*s%s%s", (int)n, place, n ? "/" : "", word);
        if (length < (int)sizeof path && access(path, F_OK) == 0)
            break;
        place += n;
        if (!*place)
            return not_there(word, errno, e);
    }
    if (check_program(path, e) < 0)
        return NULL;
    char *found = text_copy(path);
    if (!found)
        error_memory(e);
    return found;
}
