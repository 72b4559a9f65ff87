# SPDX-License-Identifier: GPL-2.0-or-later
# weir. `make help` lists the targets. V=1 shows the commands, B=DIR builds elsewhere.

B	?= build
CC	?= gcc
CLANG	?= clang
BPFTOOL	?= $(shell command -v bpftool || echo /usr/sbin/bpftool)
PREFIX	?= /usr/local
VERSION	:= 0.1.0

DIRS	:= user user/capture user/model user/detect user/classify user/out
INC	:= -Ibpf $(addprefix -I,$(DIRS)) -I$(B)
WARN	:= -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wno-unused-parameter
CFLAGS	?= -O2 -g
CFLAGS	+= -ffunction-sections -fdata-sections
LDFLAGS	+= -Wl,--gc-sections
CSTD	:= -std=gnu11 -D_GNU_SOURCE -DWEIR_VERSION='"$(VERSION)"'
LIBS	:= -lbpf -lelf -lz -lpcap -lnettle -lhogweed -ljansson -lncursesw -ltinfo -linih -lmnl -lsqlite3 -lm
ARCH	:= $(shell uname -m)
BPF_INC	:= -Ibpf -I/usr/include/$(ARCH)-linux-gnu

ifeq ($(V),1)
msg	=
Q	=
else
msg	= @printf '  %-8s %s\n' "$(1)" "$(2)"
Q	= @
MAKEFLAGS += --no-print-directory
endif

BPF_SRC	:= $(wildcard bpf/*.bpf.c)
SKEL	:= $(patsubst bpf/%.bpf.c,$(B)/%.skel.h,$(BPF_SRC))
SRC	:= $(wildcard $(addsuffix /*.c,$(DIRS)))
OBJ	:= $(SRC:%.c=$(B)/%.o)
LIBOBJ	:= $(filter-out $(B)/user/main.o,$(OBJ))
SANOBJ	:= $(LIBOBJ:$(B)/%=$(B)/san/%)
FUZZOBJ	:= $(LIBOBJ:$(B)/%=$(B)/fuzzobj/%)
SAN	:= -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -O1 -g -ffunction-sections -fdata-sections
UNIT	:= $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/test_*.c))
FUZZERS	:= $(patsubst tests/fuzz/%.c,$(B)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all unit clean

all: $(B)/weir

$(B)/weir: $(OBJ)
	$(call msg,LINK,$@)
	$(Q)$(CC) $(CFLAGS) -o $@ $^ $(LDFLAGS) $(LIBS)
	$(Q)[ "$(B)" != build ] || ln -sf build/weir weir

$(B)/%.bpf.o: bpf/%.bpf.c $(wildcard bpf/*.h)
	$(call msg,BPF,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) -target bpf -mcpu=v3 -O2 -g -Wall -Wextra -Werror -Wno-unused-parameter $(BPF_INC) -c $< -o $@

$(B)/%.skel.h: $(B)/%.bpf.o
	$(call msg,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name $(subst .,_,$*) > $@

$(B)/%.o: %.c | $(SKEL)
	$(call msg,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CSTD) $(CFLAGS) $(WARN) $(INC) -MMD -MP -c $< -o $@

$(B)/san/%.o: %.c | $(SKEL)
	$(call msg,CC-SAN,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CSTD) $(SAN) $(WARN) $(INC) -MMD -MP -c $< -o $@

$(B)/fuzzobj/%.o: %.c | $(SKEL)
	$(call msg,CC-FUZZ,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(CSTD) $(SAN) -fsanitize=fuzzer-no-link $(WARN) $(INC) -MMD -MP -c $< -o $@

# Archives, so that a test links the parts it uses and may bring its own stand-in for another.
$(B)/libsan.a: $(SANOBJ)
	$(Q)rm -f $@; ar rcs $@ $^

$(B)/libfuzz.a: $(FUZZOBJ)
	$(Q)rm -f $@; ar rcs $@ $^

$(B)/unit/%: tests/unit/%.c $(B)/libsan.a
	$(call msg,UNIT,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CSTD) $(SAN) $(WARN) $(INC) -Itests/unit -o $@ $< $(B)/libsan.a $(LDFLAGS) $(LIBS) -lcmocka

$(B)/fuzz/%: tests/fuzz/%.c $(B)/libfuzz.a
	$(call msg,FUZZ,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(CSTD) $(SAN) -fsanitize=fuzzer $(WARN) $(INC) -o $@ $< $(B)/libfuzz.a $(LDFLAGS) $(LIBS)

unit: $(UNIT)
	$(Q)for t in $^; do echo "== $$t"; $$t || exit 1; done

clean:
	rm -rf $(B) weir

-include $(OBJ:.o=.d) $(SANOBJ:.o=.d) $(FUZZOBJ:.o=.d)
