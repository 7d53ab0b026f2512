// The digital twin of a board: simulates `uart_shell` with a network behind a pseudo-terminal.
//
//   Vbench CLOCKS IDLE [Verilator's own arguments]
//
// CLOCKS of one bit on the line. After IDLE clocks without anything on the line the simulation waits for bytes.
// Prints the name of the pseudo-terminal; then takes a command per line from standard input, and answers "ok":
//
//   to N flip MASK    bits of the N-th byte towards the device, counted from now, are turned over on the line
//   to N lose COUNT   this byte and COUNT - 1 behind it do not come
//   to N reset        the device is configured anew in the middle of this byte
//   from ...          the same for bytes from the device
//   noise BYTE        a byte that nobody sent goes to the device
//   unstopped BYTE    the same with a stop bit of 0
//   break             the line to the device is at 0 for twelve bits
//   look              answers "ok LED TO FROM CLOCKS": the lamp, bytes that have gone either way, clocks so far
//
// It ends when standard input does.
#include "Vbench.h"
#include "verilated.h"

#include <cstdio>
#include <cstdlib>
#include <deque>
#include <fcntl.h>
#include <memory>
#include <poll.h>
#include <sstream>
#include <string>
#include <termios.h>
#include <unistd.h>
#include <vector>

namespace {

struct Fault {
    long at;
    std::string kind;
    long value;
};

// Bytes that went one way, and what is to happen to some of them.
struct Way {
    long count = 0;
    std::vector<Fault> faults;

    // The value of a fault of a kind for the byte that goes now, or -1.
    long fault(const char *kind) const {
        for (const Fault &fault : faults) {
            const long last = fault.at + (fault.kind == "lose" ? fault.value : 1);
            if (fault.kind == kind && count >= fault.at && count < last) return fault.value;
        }
        return -1;
    }
};

struct Sending {
    int byte;
    int low;  // bits at 0 instead of a byte
    bool stop;
};

VerilatedContext context;
std::unique_ptr<Vbench> device;
Way to, from;
std::deque<Sending> waiting;
int clocks = 8;
long ticks = 0;

void configure() {
    device.reset();
    device = std::make_unique<Vbench>(&context);
    device->rx = 1;
}

void tick() {
    ticks++;
    for (int level = 0; level < 2; level++) {
        device->clk = level;
        device->eval();
    }
}

void command(const std::string &line) {
    std::istringstream words(line);
    std::string word;
    words >> word;
    long value = 0;
    if (word == "to" || word == "from") {
        Way &way = word == "to" ? to : from;
        Fault fault{0, "", 1};
        words >> fault.at >> fault.kind >> fault.value;
        fault.at += way.count;
        way.faults.push_back(fault);
    } else if (word == "noise" || word == "unstopped") {
        words >> value;
        waiting.push_back({static_cast<int>(value), 0, word == "noise"});
    } else if (word == "break") {
        waiting.push_back({0, 12, true});
    }
    if (word == "look") std::printf("ok %d %ld %ld %ld\n", device->led, to.count, from.count, ticks);
    else std::printf("ok\n");
    std::fflush(stdout);
}

// The line to the device, one clock: bit -1 is the start bit, bit 8 the stop bit.
bool drive() {
    static bool busy = false, lost = false;
    static Sending now;
    static int bit = 0, left = 0;
    if (!busy) {
        if (waiting.empty()) return false;
        now = waiting.front();
        waiting.pop_front();
        lost = to.fault("lose") >= 0;
        if (to.fault("flip") >= 0) now.byte ^= to.fault("flip");
        busy = true;
        bit = -1;
        left = 0;
    }
    if (left == 0) {
        if (bit == 9 + (now.low > 0 ? now.low - 9 : 0)) {
            device->rx = 1;
            busy = false;
            to.count++;
            return true;
        }
        if (bit == 4 && to.fault("reset") >= 0) configure();
        bool level = bit < 0 ? false : bit < 8 ? now.byte >> bit & 1 : now.stop;
        if (now.low > 0) level = bit + 1 >= now.low;
        device->rx = lost || level;
        left = clocks;
        bit++;
    }
    left--;
    return true;
}

// The line from the device, one clock.
bool sample(int terminal) {
    static int bit = -1, left = 0, byte = 0;
    if (bit < 0) {
        if (device->tx) return false;
        bit = 0;
        left = clocks + clocks / 2;
        return true;
    }
    if (--left != 0) return true;
    left = clocks;
    if (bit == 4 && from.fault("reset") >= 0) configure();
    if (bit < 8) {
        byte = byte >> 1 | (device->tx ? 0x80 : 0);
        bit++;
        return true;
    }
    bit = -1;
    if (!device->tx) return true;
    if (from.fault("flip") >= 0) byte ^= from.fault("flip");
    const unsigned char sent = static_cast<unsigned char>(byte);
    if (from.fault("lose") < 0 && write(terminal, &sent, 1) != 1) std::fprintf(stderr, "nobody reads the port\n");
    from.count++;
    return true;
}

// Keeps the other side open and raw, so that nothing is echoed and the port stays when a program closes it.
int open_terminal() {
    const int terminal = posix_openpt(O_RDWR | O_NOCTTY);
    if (terminal < 0 || grantpt(terminal) != 0 || unlockpt(terminal) != 0) std::exit(3);
    const int other = open(ptsname(terminal), O_RDWR | O_NOCTTY);
    termios mode;
    if (other < 0 || tcgetattr(other, &mode) != 0) std::exit(3);
    cfmakeraw(&mode);
    if (tcsetattr(other, TCSANOW, &mode) != 0 || fcntl(terminal, F_SETFL, O_NONBLOCK) != 0) std::exit(3);
    std::printf("%s\n", ptsname(terminal));
    std::fflush(stdout);
    return terminal;
}

}  // namespace

int main(int argc, char **argv) {
    context.commandArgs(argc, argv);
    clocks = std::atoi(argv[1]);
    const long idle = std::atol(argv[2]);
    configure();
    // The device is ready before the cable is plugged in.
    for (int clock = 0; clock < 100; clock++) tick();
    const int terminal = open_terminal();
    std::string typed;
    for (long quiet = 0;;) {
        pollfd ends[2] = {{terminal, POLLIN, 0}, {0, POLLIN, 0}};
        poll(ends, 2, quiet > idle ? -1 : 0);
        unsigned char buffer[4096];
        if (ends[0].revents & POLLIN) {
            const ssize_t count = read(terminal, buffer, sizeof buffer);
            for (ssize_t i = 0; i < count; i++) waiting.push_back({buffer[i], 0, true});
            quiet = 0;
        }
        if (ends[1].revents) {
            const ssize_t count = read(0, buffer, sizeof buffer);
            if (count <= 0) return 0;
            typed.append(reinterpret_cast<char *>(buffer), static_cast<size_t>(count));
            for (size_t end; (end = typed.find('\n')) != std::string::npos; typed.erase(0, end + 1))
                command(typed.substr(0, end));
            quiet = 0;
        }
        for (int clock = 0; clock < 100; clock++) {
            const bool driven = drive();
            tick();
            const bool sampled = sample(terminal);
            quiet = driven || sampled ? 0 : quiet + 1;
        }
    }
}
