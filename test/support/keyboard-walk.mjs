// In the page, for test/support/browser: what there is to reach by Tab, what is met on the way, and what is wrong with it.
// Must not press a key; the test does.
const CAN =
  'a[href], button, input, select, textarea, summary, [tabindex]:not([tabindex="-1"]), [role="button"], [role="switch"], [role="tab"], [role="link"]'

const shown = (one) => one.checkVisibility({ visibilityProperty: true }) && one.getClientRects().length > 0
const textOf = (one) => (one.getAttribute('aria-label') ?? (one.textContent || one.outerHTML)).trim().slice(0, 60)
const say = (one) => `${one.tagName.toLowerCase()} ${textOf(one)}`
const isRadio = (one) => one instanceof HTMLInputElement && one.type === 'radio'

/** Of a group of radios, the chosen one: arrows lead to the others. */
const chosen = (one) => {
  const group = [...document.querySelectorAll('input[type="radio"]')].filter(({ name }) => name === one.name)
  return group.find(({ checked }) => checked) ?? group[0]
}

const reachable = (one) =>
  shown(one) &&
  !one.disabled &&
  one.tabIndex >= 0 &&
  !one.closest('fieldset:disabled, [inert], [aria-hidden="true"]') &&
  (!isRadio(one) || chosen(one) === one)

const marked = (one) => {
  if (!one) return false
  const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(one)
  return (outlineStyle !== 'none' && Number.parseFloat(outlineWidth) > 0) || boxShadow !== 'none'
}

const nameOf = (one) => {
  const by = (one.getAttribute('aria-labelledby') ?? '').split(' ').map((id) => document.getElementById(id)?.textContent ?? '')
  const labels = [...(one.labels ?? [])].map(({ textContent }) => textContent)
  return [one.getAttribute('aria-label') ?? '', ...by, ...labels, one.textContent, one.title].join('').trim()
}

/** What is wrong with one that has the keyboard now. */
const faultsOf = (one) => {
  const faults = []
  if (nameOf(one) === '') faults.push('has no name')
  if (![one, one.parentElement, one.nextElementSibling, one.closest('label')].some(marked))
    faults.push('nobody sees that it has the keyboard')
  const { left, top, width, height } = one.getBoundingClientRect()
  const over = document.elementFromPoint(left + width / 2, top + height / 2)
  if (!over) faults.push('is outside what is seen')
  else if (!one.contains(over) && !over.contains(one) && !one.labels?.length) faults.push(`lies behind ${say(over)}`)
  return faults.map((fault) => `${say(one)}: ${fault}`)
}

globalThis.walk = {
  round: false,
  /** How many there are to reach. */
  begin() {
    const over = new AbortController()
    const met = new Set()
    const wanted = [...document.querySelectorAll(CAN)].filter(reachable)
    const mouseOnly = [...document.querySelectorAll('#content *, header *')].filter(
      (one) =>
        shown(one) && getComputedStyle(one).cursor === 'pointer' && !one.closest(`${CAN}, label`) && !one.querySelector(`${CAN}, label`),
    )
    // of a row of tabs, arrows lead to the others
    const skipped = [...document.querySelectorAll('a[href], button')].filter(
      (one) => shown(one) && !one.disabled && one.tabIndex < 0 && one.role !== 'tab' && !one.closest('[inert]'),
    )
    const faults = [
      ...mouseOnly.map((one) => `${say(one)}: looks like something to press, and no key does`),
      ...skipped.map((one) => `${say(one)}: only a mouse can press it`),
    ]
    const meet = ({ target: one }) => {
      if (met.has(one)) this.round = true
      if (met.has(one) || one === document.body) return
      met.add(one)
      faults.push(...faultsOf(one))
    }
    document.addEventListener('focusin', meet, { signal: over.signal })
    document.body.tabIndex = -1
    document.body.focus()
    document.body.removeAttribute('tabindex')
    this.end = () => {
      over.abort()
      const missed = wanted.filter((one) => one.isConnected && !met.has(one))
      const trap = this.round ? [] : ['Tab does not come round']
      return [...faults, ...missed.map((one) => `${say(one)}: Tab never comes there`), ...trap]
    }
    return wanted.length
  },
}
