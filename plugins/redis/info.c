#include "redis/info.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *next_line(const char *p)
{
    p = strchr(p, '\n');
    return p ? p + 1 : NULL;
}

const char *info_text(const char *info, const char *key, char *out, size_t size)
{
    size_t n = strlen(key);
    out[0] = '\0';
    for (const char *line = info; line; line = next_line(line))
        if (strncmp(line, key, n) == 0 && line[n] == ':') {
            size_t length = strcspn(line + n + 1, "\r\n");
            snprintf(out, size, "%.*s", (int)(length < size ? length : size), line + n + 1);
            break;
        }
    return out;
}

bool info_is(const char *info, const char *key, const char *value)
{
    char text[128];
    return strcmp(info_text(info, key, text, sizeof text), value) == 0;
}

uint64_t info_number(const char *info, const char *key)
{
    char text[32];
    return strtoull(info_text(info, key, text, sizeof text), NULL, 10);
}

bool info_database(const char **at, struct info_database *database)
{
    for (const char *line = *at; line; line = next_line(line)) {
        unsigned long long number, keys, expires;
        if (sscanf(line, "db%llu:keys=%llu,expires=%llu", &number, &keys, &expires) != 3)
            continue;
        *database = (struct info_database){.number = number, .keys = keys, .expires = expires};
        *at = next_line(line);
        return true;
    }
    *at = NULL;
    return false;
}
