// All that requests are decided by, swapped by a worker as one. An exchange keeps the Tables that it started with.
#pragma once

#include <memory>

#include "dataplane/snapshot/certificates.h"
#include "dataplane/snapshot/directory.h"
#include "dataplane/snapshot/snapshot.h"
#include "dataplane/snapshot/switches.h"
#include "dataplane/snapshot/tickets.h"

namespace gw {

struct Tables {
  std::shared_ptr<const Snapshot> snapshot;
  std::shared_ptr<const Directory> directory;  // never null: Directory() is empty
  std::shared_ptr<const QuotaView> quota;      // never null
  std::shared_ptr<const Switches> switches = Switches::none();  // never null
  std::shared_ptr<const CertificateTable> certificates = CertificateTable::none();  // never null
  std::shared_ptr<const TicketKeys> tickets = TicketKeys::none();                   // never null
};

}  // namespace gw
