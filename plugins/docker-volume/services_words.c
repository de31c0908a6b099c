#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cofre/plugin.h"
#include "docker-volume/services.h"

#define COMPOSE "compose:"
#define CONTAINERS "containers:"
#define EXCEPT "except"
#define BLANKS " \t"

static char *trim(char *text)
{
    text += strspn(text, BLANKS);
    size_t n = strlen(text);
    while (n > 0 && strchr(BLANKS, text[n - 1]))
        n--;
    text[n] = '\0';
    return text;
}

static int32_t wrong(const char *text, const char *why, struct cofre_error *error)
{
    int32_t class = cofre_fail(error, COFRE_E_CONFIG, "restore_stop = '%s': %s", text, why);
    cofre_hint(error, "such as: compose:shop except postgres, cache; or: containers:shop-web-1, shop-worker-1");
    return class;
}

static int32_t read_names(struct services_words *w, char *list, const char *text, struct cofre_error *error)
{
    size_t most = 1;
    for (const char *p = list; *p; p++)
        most += *p == ',';
    w->names = calloc(most, sizeof *w->names);
    if (!w->names)
        return cofre_fail_errno(error, ENOMEM, "read restore_stop");
    for (char *next = list; next;) {
        char *name = strsep(&next, ",");
        name = trim(name);
        if (!*name)
            return wrong(text, "a name is empty", error);
        if (strpbrk(name, BLANKS))
            return wrong(text, "a comma is missing between two names", error);
        w->names[w->count++] = name;
    }
    return COFRE_OK;
}

/* "PROJECT", or "PROJECT except NAME, NAME" */
static int32_t read_project(struct services_words *w, char *rest, const char *text, struct cofre_error *error)
{
    size_t n = strcspn(rest, BLANKS), length = sizeof EXCEPT - 1;
    if (n == 0)
        return wrong(text, "it names no project", error);
    w->project = rest;
    if (rest[n] == '\0')
        return COFRE_OK;
    rest[n] = '\0';
    char *except = trim(rest + n + 1);
    if (strncmp(except, EXCEPT, length) != 0 || (except[length] && !strchr(BLANKS, except[length])))
        return wrong(text, "behind the project may come 'except' and names of services", error);
    return read_names(w, except + length, text, error);
}

int32_t services_words_read(struct services_words *w, const char *text, struct cofre_error *error)
{
    *w = (struct services_words){.text = strdup(text)};
    if (!w->text)
        return cofre_fail_errno(error, ENOMEM, "read restore_stop");
    char *begin = trim(w->text);
    if (strncmp(begin, COMPOSE, strlen(COMPOSE)) == 0)
        return read_project(w, trim(begin + strlen(COMPOSE)), text, error);
    if (strncmp(begin, CONTAINERS, strlen(CONTAINERS)) == 0)
        return read_names(w, begin + strlen(CONTAINERS), text, error);
    return wrong(text, "it begins neither with 'compose:' nor with 'containers:'", error);
}

void services_words_free(struct services_words *w)
{
    free(w->names);
    free(w->text);
    *w = (struct services_words){0};
}
