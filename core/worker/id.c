#include "worker/id.h"

#include <sodium.h>
#include <stdint.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/text.h"

void id_make(char out[ID_MAX])
{
    char when[CLOCK_TEXT_MAX], hex[7];
    uint8_t random[3];
    randombytes_buf(random, sizeof random);
    snprintf(out, ID_MAX, "cofre-%.16s-%s", clock_format_compact(clock_now(), when),
             text_hex(random, sizeof random, hex));
    for (char *p = out; *p; p++)
        *p = (char)(*p == 'T' ? 't' : *p == 'Z' ? 'z' : *p);
}
