#include "docker-volume/say.h"

#define LINE_ROOM 1024

void say_log(struct cofre_call *call, int32_t level, const char *format, ...)
{
    char line[LINE_ROOM];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    cofre->log(call, level, line);
}

void say_finding(struct cofre_call *call, int32_t level, const char *hint, const char *format, ...)
{
    char line[LINE_ROOM];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    cofre->finding(call, level, line, hint);
}
