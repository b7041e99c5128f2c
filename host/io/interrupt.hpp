// Ctrl-C: the first asks to stop at the next segment, the second to drop the cell, the third ends the process.
#pragma once

namespace widelab::io {

/// Counts SIGINT and SIGTERM from now on. Also has writes beyond a file-size limit or into a closed pipe fail with
/// an error, which is reported, where the system would otherwise end the process.
void install_interrupt_handler();

/// Interrupts since the start or the last reset.
int interrupts();

void reset_interrupts();

}  // namespace widelab::io
