#include "wire/greeting.h"

#include <stddef.h>

#include "wire/channel.h"
#include "wire/wire.h"

uint32_t greeting_build(void)
{
    static const char build[] = COFRE_VERSION;
    uint32_t h = CHANNEL_RING ^ WIRE_CALLS << 8 ^ WIRE_OBJECT << 16 ^ (uint32_t)sizeof(struct channel_shared);
    for (size_t i = 0; i < sizeof build; i++)
        h = (h ^ (uint8_t)build[i]) * 16777619u;
    return h;
}
