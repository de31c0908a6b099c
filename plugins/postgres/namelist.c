#include "postgres/namelist.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool append(struct namelist *names, char *word)
{
    char **list = word ? reallocarray(names->list, names->count + 2, sizeof *list) : NULL;
    if (!list) {
        free(word);
        return false;
    }
    names->list = list;
    list[names->count++] = word;
    list[names->count] = NULL;
    return true;
}

bool namelist_has(const struct namelist *names, const char *name)
{
    /* The last ones first: what belongs together comes together. */
    for (size_t i = names->count; i > 0; i--)
        if (strcmp(names->list[i - 1], name) == 0)
            return true;
    return false;
}

bool namelist_add(struct namelist *names, const char *name)
{
    return namelist_has(names, name) || append(names, strdup(name));
}

bool namelist_print(struct namelist *names, const char *format, ...)
{
    char *word;
    va_list arguments;
    va_start(arguments, format);
    int n = vasprintf(&word, format, arguments);
    va_end(arguments);
    return append(names, n < 0 ? NULL : word);
}

void namelist_free(struct namelist *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->list[i]);
    free(names->list);
    *names = (struct namelist){.count = 0};
}
